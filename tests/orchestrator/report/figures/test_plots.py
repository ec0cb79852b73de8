import shutil
from dataclasses import replace

import matplotlib.image
import pyarrow as pa
import pytest

from orchestrator.experiment.spec import Claim
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import PROBES, probes
from orchestrator.report.figures import charts as every
from orchestrator.report.figures import foremost, training_charts
from orchestrator.report.figures.charts import charts
from orchestrator.report.figures.plots import COLORS, heat_map
from orchestrator.store.arrow import write_table
from orchestrator.store.artifacts import HISTORY
from tests.support.least import least
from tests.support.report_world import a_plan, a_store


def test_the_heat_map_is_a_picture_that_grows_with_the_table(tmp_path):
    plan = a_plan()
    table = probes(Reading(plan, a_store(tmp_path / "store", plan)))
    heat_map(table, tmp_path / "all.png")
    heat_map(table.slice(0, 8), tmp_path / "one.png")  # one teacher
    every, one = (matplotlib.image.imread(tmp_path / name) for name in ("all.png", "one.png"))
    assert every.shape[0] - one.shape[0] == 2 * 0.5 * 180
    assert every[..., :3].std() > 0.1


def test_a_teacher_without_a_layer_leaves_a_hole(tmp_path):
    plan = a_plan()
    table = probes(Reading(plan, a_store(tmp_path / "store", plan)))
    heat_map(table.slice(4), tmp_path / "hole.svg")  # the first teacher has no probe at its first two stages
    text = (tmp_path / "hole.svg").read_text()
    assert text.count(">70.0<") == 0
    assert text.count(">96.0<") == 1


def test_no_heat_map_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="no teacher has been probed yet"):
        heat_map(PROBES.empty_table(), tmp_path / "none.png")


def test_charts_say_who_is_who(tmp_path):
    plan = a_plan()
    found = {chart.name: chart for chart in charts(Reading(plan, a_store(tmp_path, plan)))}
    accuracy, learning, weights = (found[name] for name in ("accuracy-by-method", "learning-curves", "instructional-weights"))
    for label in ("none", "kd", "gpac"):
        assert f">{label}<" in accuracy.svg
        assert f">{label}<" in learning.svg
    for teacher in ("resnet20-s0", "resnet32-s0", "wrn_16_2-s0"):
        assert f">{teacher}<" in weights.svg
    assert ">resnet8, gpac<" in weights.svg
    assert ">resnet8, none<" not in weights.svg
    assert "currentColor" in accuracy.svg
    assert "> wrn_16_2-s0<" in accuracy.svg  # the best teacher, at its line
    sizes = found["students-and-teachers-by-size"]
    assert all(f">{name}<" in sizes.svg for name in ("none", "kd", "gpac", "resnet20-s0", "parameters, thousands"))
    assert ">multiply-accumulates, millions<" not in sizes.svg  # which these entries do not know
    selected = found["selected-by-probes-resnet8-with-gpac"]
    assert selected.svg.count(">π = 1.00<") == 3  # one teacher at each stage
    assert not [chart.name for chart in found.values() if "<image" in chart.svg], "the page forbids what is not drawn in place"


def test_terms_guides_and_beta_have_a_figure_where_a_method_tells_them(tmp_path):
    """Of two seeds, whose means are drawn."""
    plan = a_plan({"none": (0.9,), "gpac": (0.9, 0.8)})
    store = a_store(tmp_path, plan, {"none": (0.9,), "gpac": (0.9, 0.8)})
    for job in plan.of("student"):
        rows = [
            {"epoch": epoch, "time_ms": 0, "seconds": 1.0, "name": name, "value": value / epoch}
            for epoch in (1, 2)
            for name, value in (("loss/ce", 1.0), ("loss/instruct", 2.0), ("guide/teacher1", 0.5), ("beta", 60.0))
            if name == "loss/ce" or job.labels["method"] == "gpac"
        ]
        shutil.rmtree(store.root / "student" / job.key)
        attempt = store.begin(job)
        write_table(pa.Table.from_pylist(rows, schema=HISTORY.schema), attempt.path / "history.arrow")
        attempt.commit(least("student", test_accuracy=0.9, device="cpu"), 1.0)
    found = {chart.name: chart for chart in charts(Reading(plan, store))}
    terms = found["terms-of-the-loss"].svg
    assert ">instruct<" in terms
    assert ">resnet8, gpac<" in terms
    assert ">resnet8, none<" not in terms  # a single term is the loss
    assert ">resnet32-s0<" in found["guiding-factors"].svg
    assert ">gpac<" in found["weight-of-the-attention-loss-by-epoch"].svg


def test_what_is_not_drawn_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(foremost, "LINES", 1)
    monkeypatch.setattr(training_charts, "PANELS", 1)
    monkeypatch.setattr(foremost, "PANELS", 1)
    monkeypatch.setattr(every, "LINES", 1)
    plan = a_plan()
    found = {chart.name: chart for chart in charts(Reading(plan, a_store(tmp_path, plan)))}
    for name in ("accuracy-by-method", "learning-curves", "students-and-teachers-by-size"):
        assert found[name].caption.endswith(
            " Drawn are the 2 most accurate of 3 students and methods. Of 3 teachers the 1 most accurate are drawn."
        )
    accuracy = found["accuracy-by-method"]
    assert (">none<" in accuracy.svg, ">kd<" in accuracy.svg, ">gpac<" in accuracy.svg).count(True) == 2


@pytest.mark.parametrize(("format", "magic"), [("pdf", b"%PDF"), ("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_figure_as_a_file_of_its_own_is_the_same_each_time(tmp_path, format, magic):
    plan = a_plan()
    [chart, *_] = charts(Reading(plan, a_store(tmp_path, plan)))
    content = chart.picture.content(format)
    assert content.startswith(magic)
    if format != "svg":
        assert chart.picture.content(format) == content


def test_a_chart_of_the_claims(tmp_path):
    texts = [("gpac helps", "gpac", "none"), ("kd hurts", "none", "kd"), ("gpac hurts", "none", "gpac")]
    plan = replace(a_plan(), claims=tuple(Claim(*text, "test") for text in texts[:2]))
    store = a_store(tmp_path, plan)
    [chart] = [each for each in charts(Reading(plan, store)) if each.under == "Claims"]
    assert chart.title.startswith("Claims")
    assert all(f">{word}<" in chart.svg for word in ("gpac helps", "kd hurts", "test accuracy", "difference, points"))
    assert COLORS[2] in chart.svg  # holds: p = 0.040
    assert COLORS[-1] in chart.svg  # inconclusive
    assert COLORS[4] not in chart.svg
    opposite = replace(plan, claims=(Claim(*texts[2], "test"),))
    assert COLORS[4] in charts(Reading(opposite, store))[1].svg


def test_no_charts_of_nothing(tmp_path):
    plan = a_plan()
    plan = replace(plan, claims=(Claim("kd helps", "kd", "none", "test"),))
    store = a_store(tmp_path, plan)
    store.root.joinpath("student").rename(tmp_path / "gone")
    store.root.joinpath("teacher").rename(tmp_path / "gone too")
    assert charts(Reading(plan, store)) == []
