"""How a search is seen on the terminal: in the plan, in the live view, in the status."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from orchestrator.cli.app import main
from orchestrator.cli.views.progress import fraction_done, trials_left
from orchestrator.cli.views.run import picture
from orchestrator.cli.views.run_lines import Lines, Quiet
from orchestrator.cli.watching import Watched
from orchestrator.experiment.load import load
from orchestrator.planning.explain import statuses
from orchestrator.planning.plan import make
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from orchestrator.store.store import Store
from tests.support.search_world import a_spec, a_world, begin_search, stand_in

YAML = """\
name: toy
store: {store}
data: {{name: digits, train_size: 100}}
teachers: {{models: resnet8, recipe: {{epochs: 2}}}}
search: {{trials: 5, scheduler: none}}
students:
  models: resnet8
  methods:
    - kd: {{search: {{space: {{temperature: {{uniform: [1, 8]}}, recipe: {{lr: {{loguniform: [0.01, 0.1]}}}}}}}}}}
    - kd: {{label: grid, search: {{searcher: grid, space: {{temperature: {{choice: [1, 2, 4]}}, ce: {{choice: [0, 1]}}}}}}}}
  recipe: {{epochs: 9}}
tracking: {{enabled: false}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(YAML.format(store=tmp_path / "store"))
    return str(path)


def shown(capsys, *arguments):
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_the_plan_says_what_is_searched_how_and_in_how_many_trials(file, capsys):
    told = shown(capsys, "plan", file)
    lines = [line.split(maxsplit=1) for line in told.splitlines() if line.startswith("    ")]
    assert ["space", "temperature uniform [1, 8], recipe.lr loguniform [0.01, 0.1]"] in lines
    assert ["space", "ce choice [0, 1], temperature choice [1, 2, 4]"] in lines
    how = "searcher tpe, scheduler none, epochs 9, grace 1, reduction 3, interval 2, parallel null, seed 0"
    assert ["search", f"trials 5, {how}"] in lines, "what follows from the epochs is written out"
    assert "Searches: 2 missing" in told
    assert "search of resnet8 · kd, searched (5 trials)" in told
    assert "search of resnet8 · grid (6 trials)" in told, "three temperatures, two weights"
    assert "; 11 trials in its searches" in told


def test_the_status_of_a_search_at_work_and_of_one_that_waits(file, capsys):
    spec = load(file)
    plan, store = make(spec), Store(spec.store)
    [search, _] = plan.of("search")
    begin_search(store, search, 3, at_work=2)
    assert statuses(plan, store)[search.key].reason == "goes on after 3 of 7 trials"
    trials = [stand_in(number) for number in (3, 4)]
    with store.lock("run-toy"), store.lock_job(search), store.lock_job(trials[1]):
        begin_search(store, search, 3, at_work=2, ago=-5)
        for trial in trials:  # one was at work when its run was killed
            said = {"attempt": "a", "pid": 1, "started": 0.0, "updated": time.time() + 5, "epoch": 2, "epochs": 9}
            store.write_work(trial, "progress.json", said | {"loss": 0.5, "accuracy": 0.75, "seconds": 2.0})
        told = shown(capsys, "status", file)
        planned = shown(capsys, "plan", file)
    [line] = [line for line in told.splitlines() if line.startswith("search of")]
    assert line.split()[6:12] == ["3/7", "trials", "72.0", "%", "0:30", "0:00"]  # 3 trials of 20 s are left, 2 at once
    [trial] = [line for line in told.splitlines() if line.startswith("  trial ")]
    assert trial.split() == ["trial", "4:", "recipe.lr", "0.09,", "temperature", "3", "2/9", "0.5", "75.0", "%", "0:14"]
    assert "3 of 7 trials have ended" in planned


def a_snapshot(tmp_path, ended, at_work):
    """The teacher is done, and the search at work."""
    plan, store = a_world(tmp_path)
    [search], [teacher] = plan.of("search"), plan.of("teacher")
    begin_search(store, search, ended, at_work, ago=-1)
    states = {job.key: State.WAITING for job in plan} | {search.key: State.RUNNING, teacher.key: State.DONE}
    return Snapshot(plan, states, {search.key: store.progress(search)})


def test_the_live_view_of_a_search(tmp_path):
    out = Console(file=io.StringIO(), width=100, color_system=None, highlight=False)
    watched = Watched(a_spec(tmp_path), Quiet())
    watched.snapped(a_snapshot(tmp_path, 3, 2))
    for part in picture(watched, 20):
        out.print(part)
    [line] = [line for line in out.file.getvalue().splitlines() if line.startswith("search of")]
    assert line.split()[6:] == ["3/7", "trials", "72.0", "%", "0:30"]


def test_the_live_view_shows_the_trials_at_work_as_far_as_the_window_goes(tmp_path):
    snapshot = a_snapshot(tmp_path, 3, 2)
    [said] = snapshot.progress.values()
    tries = {"temperature": 3.14159, "recipe.lr": 0.05}
    said["of_trials"] = [{"number": 3, "values": tries, "epochs": 9, "epoch": 4, "loss": 1.25, "accuracy": 0.625}]
    said["of_trials"].append({"number": 4, "values": {}, "epochs": 9, "doing": "importing torch"})

    def lines(height):
        out = Console(file=io.StringIO(), width=100, color_system=None, highlight=False)
        watched = Watched(a_spec(tmp_path), Quiet())
        watched.snapped(snapshot)
        for part in picture(watched, height):
            out.print(part)
        return out.file.getvalue().splitlines()

    first, second = lines(20)[-2:]
    assert first.split() == ["trial", "3:", "temperature", "3.142,", "recipe.lr", "0.05", "4/9", "1.25", "62.5", "%"]
    assert second.split() == ["trial", "4:", "importing", "torch"]
    assert lines(6)[-1] == "and 2 more"


def test_a_plain_line_of_a_search(tmp_path):
    out = Console(file=io.StringIO(), width=1000, color_system=None, highlight=False)
    Watched(a_spec(tmp_path), Lines(out)).snapped(a_snapshot(tmp_path, 3, 2))
    assert "search of resnet8 · kd, searched 3/7 trials 72.0 %" in out.file.getvalue()


def test_before_the_first_trial_has_ended_no_time_is_told(tmp_path):
    snapshot = a_snapshot(tmp_path, 0, 2)
    [said] = snapshot.progress.values()
    said.pop("trial_seconds")
    assert trials_left(said) is None


@pytest.mark.parametrize(
    ("ended", "at_work", "ago", "seconds"),
    [
        (3, 2, 0, 30.0),  # four are left, two of them half done: 3 × 20 s, two at once
        (3, 1, 0, 70.0),
        (3, 2, 4, 26.0),  # said four seconds ago
        (3, 2, 1000, 20.0),  # no more goes by than one trial's time
        (6, 1, 0, 10.0),
        (7, 0, 0, 0.0),
    ],
)
def test_the_time_left(ended, at_work, ago, seconds, monkeypatch):
    monkeypatch.setattr("orchestrator.cli.views.progress.time.time", lambda: 1000.0 + ago)
    said = {"trials": 7, "ended": ended, "at_work": at_work, "trial_seconds": 20.0, "updated": 1000.0}
    assert trials_left(said) == pytest.approx(seconds)


def test_a_searchs_part_is_that_of_its_trials(tmp_path):
    snapshot = a_snapshot(tmp_path, 3, 2)
    assert fraction_done(snapshot) == pytest.approx((1 + 3 / 7) / 8)  # teacher, search, six students
