"""Searches in the report: tables by hand, done or not; text in every format; pictures."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import pyarrow.compute as pc
import pytest

from orchestrator.report.analysis.formatting import hours
from orchestrator.report.data.probe_grid import selections
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.searches import SEARCHES, TRIALS, searches, trials
from orchestrator.report.figures.search_charts import search_charts
from orchestrator.report.tables.searches import of_searches, sentences
from orchestrator.report.text.render import render
from orchestrator.report.text.terminal import terminal
from tests.support import report_world
from tests.support.least import least
from tests.support.search_world import (
    CONTROL,
    OUTCOMES,
    SEARCHED,
    T0,
    a_world,
    begin_search,
    finish_all,
    finish_search,
    stand_in,
)


@pytest.fixture
def world(tmp_path):
    """All is done."""
    plan, store = a_world(tmp_path)
    finish_all(store, plan)
    return plan, store


def the_row(plan, store):
    table = searches(Reading(plan, store))
    assert table.schema == SEARCHES
    [row] = table.to_pylist()
    return row


def test_a_row_for_a_finished_search(world):
    row = the_row(*world)
    assert (row["cell"], row["control"], row["method"], row["algorithm"]) == (SEARCHED, CONTROL, "kd, searched", "kd")
    assert (row["status"], row["searcher"], row["scheduler"]) == ("done", "tpe", "asha")
    assert json.loads(row["space"]) == {"temperature": {"uniform": [1, 8]}, "recipe.lr": {"loguniform": [0.01, 0.1]}}
    assert json.loads(row["chosen"]) == {"temperature": 3, "recipe.lr": 0.09}
    assert json.loads(row["defaults"]) == {"temperature": 4, "recipe.lr": 0.05}
    assert (row["winner"], row["planned"], row["done"], row["stopped"], row["failed"]) == (4, 7, 5, 1, 1)
    assert (row["validation_accuracy"], row["validation_accuracy_default"]) == (0.8, 0.7)
    assert row["seconds"] == 160  # five trials of three epochs and one of one, 10 s each
    assert row["student_seconds"] == 21


def test_the_gain_is_paired_by_seed(world):
    """0.02, 0.03, 0.01: mean 0.02, standard deviation 0.01; t for two degrees of freedom is 4.303."""
    row = the_row(*world)
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert (row["seeds"], row["seeds_planned"]) == (3, 3)
    assert row["gain"] == pytest.approx(0.02)
    assert (row["gain_low"], row["gain_high"]) == (pytest.approx(0.02 - half, abs=1e-6), pytest.approx(0.02 + half, abs=1e-6))


def test_a_row_for_every_trial(world):
    plan, store = world
    table = trials(Reading(plan, store))
    assert table.schema == TRIALS
    assert table["state"].to_pylist() == [state for _, _, state, _ in OUTCOMES]
    assert table["key"].to_pylist() == [stand_in(number).key for number in range(7)]
    assert json.loads(table["values"][2].as_py()) == {"temperature": 6, "recipe.lr": 0.03}
    assert table["accuracy"].to_pylist() == [0.7, 0.72, 0.3, None, 0.8, 0.62, 0.6]
    assert (table["started"][1].as_py(), table["finished"][1].as_py()) == (T0 + 100, T0 + 131)
    assert set(table["search"].to_pylist()) == {plan.of("search")[0].key}


def test_a_search_at_work_is_told_as_far_as_it_is(tmp_path):
    plan, store = a_world(tmp_path)
    assert (the_row(plan, store)["done"], trials(Reading(plan, store)).num_rows) == (0, 0)
    [search] = plan.of("search")
    begin_search(store, search, 3, at_work=2)
    row = the_row(plan, store)
    assert (row["status"], row["reason"]) == ("missing", "3 of 7 trials have ended")
    assert (row["done"], row["stopped"], row["planned"], row["chosen"], row["gain"]) == (2, 1, 7, None, None)
    assert (row["validation_accuracy"], row["validation_accuracy_default"], row["seconds"]) == (None, 0.7, 70)
    assert pc.value_counts(trials(Reading(plan, store))["state"]).to_pylist() == [
        {"values": "done", "counts": 2},
        {"values": "stopped", "counts": 1},
        {"values": "running", "counts": 2},
    ]
    assert Reading(plan, store).reason(search) == "3 of 7 trials have ended"


def test_a_corrupt_search_is_not_told_as_done(world):
    plan, store = world
    [search] = plan.of("search")
    store.entry("search", search.key).file("trials.arrow").unlink()
    assert the_row(plan, store)["status"] == "missing"
    assert trials(Reading(plan, store)).num_rows == 0


def test_without_searches_there_is_nothing(tmp_path):
    plan = report_world.a_plan()
    store = report_world.a_store(tmp_path, plan)
    assert searches(Reading(plan, store)).num_rows == trials(Reading(plan, store)).num_rows == 0
    assert sentences(searches(Reading(plan, store))) == []
    assert search_charts(Reading(plan, store)) == []
    assert "Searches" not in render(Reading(plan, store), "md")


def texts(table):
    [group] = table.groups
    [row] = group
    return dict(zip((column.name for column in table.columns), (value.text for value in row), strict=True))


def test_the_table(world):
    plan, store = world
    told = texts(of_searches(searches(Reading(plan, store))))
    assert told == {
        "student": "resnet8",
        "method": "kd, searched",
        "chosen (default)": "recipe.lr 0.09 (0.05), temperature 3 (4)",
        "trials": "5/1/1",
        "cost": "0:02:40 (7.6×)",
        "validation": "80.00",
        "of defaults": "70.00",
        "seeds": "3/3",
        "vs defaults [95 % CI]": "+2.00 [−0.48, +4.48]",
    }


def test_the_table_says_what_is_not_there_yet(tmp_path):
    plan, store = a_world(tmp_path)
    begin_search(store, plan.of("search")[0], 3)
    table = of_searches(searches(Reading(plan, store)))
    told = texts(table)
    assert (told["method"], told["trials"], told["chosen (default)"]) == ("kd, searched [1]", "2/1/0 of 7", "–")
    assert table.notes == ("missing: 3 of 7 trials have ended",)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.03, "1 found values that beat the defaults on the test split"),
        (-0.03, -0.01, "1 found values that fall behind the defaults"),
        (-0.01, 0.03, "1 cannot be told apart from the defaults"),
        (None, None, "1 cannot be tested yet"),
    ],
)
def test_the_sentence(world, low, high, said):
    table = searches(Reading(*world))
    row = {**table.to_pylist()[0], "gain_low": low, "gain_high": high}
    [sentence] = sentences(type(table).from_pylist([row], schema=SEARCHES))
    assert sentence.startswith(f"Of 1 search: {said}")


def test_hours():
    assert (hours(59.6), hours(3661), hours(360_000)) == ("0:01:00", "1:01:01", "100:00:00")


@pytest.mark.parametrize("format", ["md", "tex", "html"])
def test_every_format_has_the_table_and_the_sentence(world, format):
    told = render(Reading(*world), format)
    for text in ("Searches", "temperature 3 (4)", "5/1/1", "0:02:40", "1 cannot be told apart from the defaults"):
        assert text in told
    assert ("p{5cm}" in told) == (format == "tex")


def test_the_terminal_leaves_out_what_has_no_room(world):
    wide, narrow = terminal(Reading(*world), width=160), terminal(Reading(*world), width=80)
    assert "0:02:40 (7.6×)" in wide
    assert "0:02:40" not in narrow
    assert "temperature 3 (4)" in " ".join(narrow.split())
    assert max(map(len, narrow.splitlines())) <= 80


@pytest.mark.parametrize("width", range(70, 130))
def test_the_terminal_cuts_no_interval_at_any_width(world, width):
    told = terminal(Reading(*world), width=width)
    assert told.count("[") == told.count("]") > 0


def test_csv_has_a_column_for_every_searched_knob(world):
    rows = list(csv.DictReader(io.StringIO(render(Reading(*world), "csv"))))
    assert [(row["searched/temperature"], row["searched/recipe.lr"]) for row in rows] == [("", "")] * 3 + [("3", "0.09")] * 3


def test_the_pictures_mark_the_default_and_the_chosen(world):
    slices, importance = search_charts(Reading(*world))
    for text in ("temperature", "recipe.lr", "defaults", "chosen", "ended early", "first trial"):
        assert f">{text}<" in slices.svg
    assert slices.under == importance.under == "Searches"
    assert "<image" not in slices.svg + importance.svg, "the page forbids what is not drawn in place"
    assert "mathdefault" not in slices.svg
    assert ">resnet8, kd, searched<" in importance.svg
    shares = [int(share) for share in re.findall(r">(\d+) %<", importance.svg)]
    assert len(shares) == 2
    assert 99 <= sum(shares) <= 101


def test_too_few_trials_tell_no_importance(tmp_path):
    plan, store = a_world(tmp_path)
    begin_search(store, plan.of("search")[0], 5)
    [slices] = search_charts(Reading(plan, store))
    assert ">chosen<" not in slices.svg
    assert "is not told: 3 of the trials came to their end, 5 are needed." in slices.caption


def test_a_picture_of_one_trial(tmp_path):
    plan, store = a_world(tmp_path)
    begin_search(store, plan.of("search")[0], 1)
    assert len(search_charts(Reading(plan, store))) == 1


def test_what_was_searched_decides_how_a_student_selects(tmp_path):
    """GPAC's selection is told of the chosen knobs; before the search is done, not at all."""
    from dataclasses import replace

    from kd_core.knobs import IntUniform
    from kd_core.methods.gpac import GPAC
    from kd_core.probes.config import ProbeConfig
    from orchestrator.experiment.search_config import SearchConfig
    from orchestrator.experiment.spec import MethodSpec, SearchSpec, StudentSpec, TeacherSpec
    from orchestrator.planning.plan import make
    from orchestrator.store.arrow import write_table
    from orchestrator.store.artifacts import TRIALS
    from orchestrator.store.store import Store
    from tests.support.search_world import a_spec

    spec = a_spec(tmp_path)
    teachers = tuple(TeacherSpec(name, name.rpartition("-")[0], 0, spec.teachers[0].recipe) for name in report_world.TEACHERS)
    search = SearchSpec((("top", IntUniform(1, 3)),), SearchConfig())
    names = tuple(teacher.name for teacher in teachers)
    student = StudentSpec("resnet8", 0, MethodSpec("gpac", GPAC.Config(), "gpac"), names, spec.students[0].recipe, "g", search)
    plan = make(replace(spec, teachers=teachers, students=(student,), probes=ProbeConfig()))
    store = Store(spec.store)
    for job in plan:
        if job.kind in ("teacher", "student"):
            report_world.commit(store, job, 0.9)
        elif job.kind == "probe":
            attempt = store.begin(job)
            write_table(report_world._probe_table(plan, job), attempt.path / "probes.arrow")
            attempt.commit(least(job.kind), 1.0)
    assert selections(Reading(plan, store)) == []
    attempt = store.begin(plan.of("search")[0])
    write_table(trials(Reading(plan, store)), attempt.path / TRIALS.name)
    attempt.commit({"chosen": {"top": 3}}, 1.0)
    [found] = selections(Reading(plan, store))
    assert all(weight > 0 for row in found.weight_ML for weight in row), "by default one teacher leads alone"


def test_the_same_store_gives_the_same_page(world):
    assert render(Reading(*world), "html") == render(Reading(*world), "html")


def test_more_trials_are_another_search(tmp_path):
    plan, store = a_world(tmp_path)
    more, _ = a_world(tmp_path, trials=20)
    finish_search(store, plan.of("search")[0])
    assert the_row(more, store)["planned"] == 20
    assert the_row(more, store)["status"] == "missing"
