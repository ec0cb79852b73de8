"""Searches and their trials in a real MLflow, on SQLite."""

from __future__ import annotations

import dataclasses
import random
import shutil

import pytest

from orchestrator.driver import run
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.searches import trials as trials_of
from orchestrator.search import journal
from orchestrator.search.trial import DONE, FAILED, STOPPED
from orchestrator.store.store import Store
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.projection import Summary, opened, project
from orchestrator.tracking.server import Server, settings
from orchestrator.tracking.trial_record import key_of
from tests.support.search_world import (
    OUTCOMES,
    SEARCHED,
    T0,
    a_spec,
    a_trial,
    begin_search,
    finish_all,
    finish_search,
)
from tests.support.tracking_world import World, afresh, client, dump, elsewhere, killed_anywhere, mirror, note

OTHER = "resnet8 · kd, searched again"
STATUS = {DONE: "FINISHED", STOPPED: "KILLED", FAILED: "FAILED"}


@pytest.fixture
def world(tmp_path, empty):
    return elsewhere(World(a_spec(tmp_path)), empty)


def the_search(world):
    [search] = world.of("search")
    return search


def test_a_finished_search_is_a_run_and_each_trial_is_one_below_it(world):
    finish_all(world.store, world.plan)
    assert mirror(world) == Summary(written=18, unchanged=0, removed=0)  # 1 + teacher, search, 6 students in 2 cells + 7 trials
    held, search = dump(client(world)), the_search(world)
    assert held[search.key]["tags"]["parent"] == "experiment:toy"
    assert held[search.key]["status"] == "FINISHED"
    assert held["experiment:toy"]["status"] == "FINISHED", "trials that were stopped or failed are no failure of the experiment"
    for number, (temperature, lr, state, accuracies) in enumerate(OUTCOMES):
        run = held[f"{search.key}/{number}"]
        assert run["tags"]["parent"] == search.key
        assert run["name"] == f"trial/{SEARCHED.replace(' · ', '/')}/{number}"
        assert run["status"] == STATUS[state]
        assert run["params"] == {"temperature": str(temperature), "recipe.lr": str(lr)}
        ended = T0 + 100 * number + 10 * len(accuracies) + 1
        assert run["time"] == (1000 * (T0 + 100 * number), 1000 * ended)
        curve = [(step, value) for name, step, _, value in run["points"] if name == "validation/accuracy"]
        assert curve == list(enumerate(accuracies, start=1))
        tags = run["tags"]
        assert (tags["kd.stage"], tags["kd.search"], tags["kd.trial"]) == ("trial", search.key, str(number))
        assert tags["mlflow.kd.job"] == a_trial(number).key
        assert tags.get("kd.stopped") == ("true" if state == STOPPED else None)
        assert tags.get("kd.reason") == ("the loss diverged" if state == FAILED else None)


def test_what_a_searchs_run_holds(world):
    finish_all(world.store, world.plan)
    mirror(world)
    run = dump(client(world))[the_search(world).key]
    params = run["params"]
    assert (params["space.temperature"], params["space.recipe.lr"]) == ("uniform [1,8]", "loguniform [0.01,0.1]")
    assert (params["how.trials"], params["how.searcher"], params["defaults.temperature"]) == ("7", "tpe", "4")
    assert (params["chosen.temperature"], params["chosen.recipe.lr"]) == ("3", "0.09")
    assert params["recipe.epochs"] == "3"
    assert not {"recipe.lr", "method.knobs.temperature"} & params.keys(), "what is searched has no one value"
    assert run["time"][0] == 1000 * T0, "from its first trial's beginning"
    values = {name: value for name, step, _, value in run["points"] if step == 0}
    assert (values["validation/accuracy_chosen"], values["trials"], values["stopped"], values["failed"]) == (0.8, 7, 1, 1)
    best = [(step, value) for name, step, _, value in run["points"] if name == "best_accuracy"]
    assert best == list(enumerate((0.7, 0.72, 0.72, 0.72, 0.8, 0.8, 0.8)))
    each = [(step, value) for name, step, _, value in run["points"] if name == "accuracy_of_trial"]
    assert each == [(0, 0.7), (1, 0.72), (2, 0.3), (4, 0.8), (5, 0.62), (6, 0.6)]
    assert run["files"].keys() == {"trials.arrow", "trials.csv", "slices.png", "importance.png"}


def test_a_searched_student_holds_the_values_that_it_was_trained_with(world):
    finish_all(world.store, world.plan)
    mirror(world)
    held = dump(client(world))
    by_cell = {job.labels["cell"]: held[job.key]["params"] for job in world.of("student")}
    searched, control = by_cell[SEARCHED], by_cell["resnet8 · kd"]
    assert (searched["method.knobs.temperature"], searched["recipe.lr"]) == ("3", "0.09")
    assert (searched["searched.temperature"], searched["searched.recipe.lr"]) == ("3", "0.09")
    assert (control["method.knobs.temperature"], control["recipe.lr"]) == ("4", "0.05")
    assert not [name for name in control if name.startswith("searched")]


def test_a_student_at_work_has_its_values_from_the_start(world):
    finish_search(world.store, the_search(world))
    student = world.of("student")[-1]
    world.begin(student, 1)
    mirror(world, running=[student.key])
    assert dump(client(world))[student.key]["params"]["searched.temperature"] == "3"


def test_trials_appear_as_they_end(world, empty):
    search = the_search(world)
    begin_search(world.store, search, 0, at_work=2)
    mirror(world, running=[search.key])
    held = dump(client(world))
    assert held.keys() == {"experiment:toy", search.key}
    assert (held[search.key]["status"], held[search.key]["points"]) == ("RUNNING", [])
    begin_search(world.store, search, 3, at_work=2)
    assert mirror(world, running=[search.key]).written == 4  # the search and three trials
    held = dump(client(world))
    assert held.keys() == {"experiment:toy", search.key, *(f"{search.key}/{number}" for number in range(3))}
    assert [step for name, step, _, _ in held[search.key]["points"] if name == "best_accuracy"] == [0, 1, 2]
    assert mirror(world, running=[search.key]).written == 0
    begin_search(world.store, search, 4)
    mirror(world)  # killed
    held = dump(client(world))
    assert (held[search.key]["status"], held[f"{search.key}/0"]["status"]) == ("KILLED", "FINISHED")
    finish_search(world.store, search)
    assert mirror(world).removed == 0
    held = dump(client(world), start=False)
    fresh = afresh(world, empty)
    assert held == {key: {**run, "time": (None, run["time"][1])} for key, run in fresh.items()}


def test_one_that_follows_shows_what_ended_since(world):
    """The same projection all through a run, as the writer holds it: what has ended is not read again."""
    search = the_search(world)
    with settings(), opened(world.spec, world.plan, world.store, note) as projection:
        begin_search(world.store, search, 2, at_work=1)
        assert projection.sync([search.key], active=True).written == 4  # experiment, search, two trials
        begin_search(world.store, search, 3, at_work=1)
        assert projection.sync([search.key], active=True).written == 2
        finish_all(world.store, world.plan)
        projection.sync()
        assert projection.sync().written == 0
    assert len(dump(client(world))) == 18


def test_an_earlier_trial_at_work_holds_back_the_curve_and_nothing_else(world):
    search = the_search(world)
    begin_search(world.store, search, 3)
    journal.write(search, world.store, a_trial(1, "running"))
    mirror(world, running=[search.key])
    held = dump(client(world))
    assert [step for name, step, _, _ in held[search.key]["points"] if name == "best_accuracy"] == [0]
    assert f"{search.key}/2" in held
    assert f"{search.key}/1" not in held


def test_two_searches_that_try_the_same_show_their_own_runs(tmp_path, empty):
    world = elsewhere(World(a_spec(tmp_path, searches=(SEARCHED, OTHER))), empty)
    for search in world.of("search"):
        finish_search(world.store, search)
    mirror(world)
    held = dump(client(world))
    one, two = world.of("search")
    assert one.key != two.key
    for number in range(len(OUTCOMES)):
        mine, theirs = (held[key_of(search, a_trial(number))] for search in (one, two))
        assert mine["tags"]["mlflow.kd.job"] == theirs["tags"]["mlflow.kd.job"]
        assert (mine["tags"]["parent"], theirs["tags"]["parent"]) == (one.key, two.key)
        assert mine["points"] == theirs["points"]


def test_again_changes_nothing_and_a_rebuilt_mirror_is_the_same(world, empty):
    finish_all(world.store, world.plan)
    mirror(world)
    held = dump(client(world))
    assert mirror(world) == Summary(written=0, unchanged=18, removed=0)
    assert dump(client(world)) == held
    assert str(mirror(world, rebuild=True)) == "18 runs written, 0 unchanged, 18 removed"
    assert dump(client(world)) == held == afresh(world, empty)


def test_a_trial_that_was_run_again_takes_the_place_of_the_old_one(world):
    """The journal was lost from its second trial on, and what is suggested then ends otherwise."""
    search = the_search(world)
    begin_search(world.store, search, 3)
    mirror(world, running=[search.key])
    other = dataclasses.replace(a_trial(2), values={"temperature": 5.5, "recipe.lr": 0.02}, accuracies=(0.4,), started=T0 + 900)
    journal.write(search, world.store, dataclasses.replace(other, finished=T0 + 911))
    mirror(world, running=[search.key])
    held = dump(client(world))
    assert held[f"{search.key}/2"]["params"]["temperature"] == "5.5"
    assert [value for name, _, _, value in held[f"{search.key}/2"]["points"] if name == "validation/accuracy"] == [0.4]
    assert len(held) == 5


def test_a_projection_that_dies_anywhere_is_completed_by_the_next(tmp_path, empty):
    world = World(a_spec(tmp_path, seeds=1))
    finish_search(world.store, the_search(world))
    assert killed_anywhere(world, empty, step=11) > 30  # not after each of them, as the jobs' test does


def test_whatever_happens_the_mirror_is_that_of_the_store(world, empty):
    """Trials end, drivers are killed, entries are lost, and MLflow looks on at random moments."""
    chance, search, ended = random.Random(0), the_search(world), 0
    for _ in range(8):
        ended = min(len(OUTCOMES), ended + chance.randrange(3))
        begin_search(world.store, search, ended, at_work=min(len(OUTCOMES) - ended, chance.randrange(3)))
        mirror(world, running=[search.key] if chance.random() < 0.6 else [])
    finish_search(world.store, search)
    mirror(world)
    shutil.rmtree(world.store.root / "search" / search.key)
    begin_search(world.store, search, 2, at_work=1)
    mirror(world, running=[search.key])
    finish_all(world.store, world.plan)
    mirror(world)
    held = dump(client(world), start=False)
    fresh = afresh(world, empty)
    assert held == {key: {**run, "time": (None, run["time"][1])} for key, run in fresh.items()}


def test_many_params_are_written_in_parts(world):
    with settings():
        server = Server(tracking_location(world.spec, world.store), "many")
        run = server.create("many", 0, {})
        params = {f"p{number}": str(number) for number in range(250)}
        server.write(run, (), params, {})
    assert client(world).get_run(run.id).data.params == params


TINY = """\
name: tiny
store: {store}
data: {{name: digits, train_size: 200}}
teachers: {{models: [resnet8], recipe: {{epochs: 1, batch_size: 32}}}}
search: {{trials: 7, parallel: 1}}
students:
  models: [resnet8]
  seeds: [0, 1]
  methods:
    - kd: {{search: {{space: {{temperature: {{uniform: [1, 8]}}, recipe: {{lr: {{loguniform: [0.001, 0.2]}}}}}}}}}}
  recipe: {{epochs: 3, batch_size: 32}}
"""


@pytest.mark.slow
def test_a_real_search_is_followed_and_written_whole(tmp_path):
    """What the writer left while the inline executor ran is what `kd track` writes into an empty server."""
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY.format(store=tmp_path / "store"))
    outcome = run(file, executor="inline")
    assert not outcome.failed
    assert not outcome.notes
    spec = load(file)
    plan, store = make(spec), Store(spec.store)
    [search] = plan.of("search")
    held = dump(client(World(spec)))
    tried = trials_of(Reading(plan, store)).to_pylist()
    assert len(tried) == 7
    assert {row["state"] for row in tried} == {DONE, STOPPED}
    assert {key for key in held if "/" in key} == {f"{search.key}/{number}" for number in range(7)}
    for row in tried:
        got = held[f"{search.key}/{row['number']}"]
        assert got["status"] == STATUS[row["state"]]
        curve = [value for name, _, _, value in got["points"] if name == "validation/accuracy"]
        assert curve == row["accuracies"]
        assert any(name == "loss/kl" for name, *_ in got["points"]) == (row["state"] == DONE)
    assert project(spec, plan, store).written == 0
    fresh = dataclasses.replace(spec, tracking=dataclasses.replace(spec.tracking, uri=f"sqlite:///{tmp_path / 'other.db'}"))
    assert project(fresh, plan, store).written == len(held)

    def timeless(runs):
        """Without what is the moment of the report, and the start of what was begun before its first epoch."""
        return {
            key: {**run, "time": (None, run["time"][1]), "files": None if key.startswith("experiment:") else run["files"]}
            for key, run in runs.items()
        }

    assert timeless(dump(client(World(fresh)))) == timeless(held)
    [row] = outcome.searches.to_pylist()
    assert (row["status"], row["seeds"]) == ("done", 2)
