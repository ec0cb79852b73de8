"""Searches end to end, on real images: trials, winner, resumption."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from orchestrator.driver import run
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.search.trial import trials_of
from orchestrator.store.arrow import read_table
from orchestrator.store.artifacts import TRIALS
from orchestrator.store.store import Store
from tests.orchestrator.executors.ray.test_executor import start as start_run

SEARCHED = """\
name: searched
store: {store}
data: {{name: digits, train_size: 200}}
teachers: {{models: [resnet8], recipe: {{epochs: 2, batch_size: 32}}}}
search: {{trials: {trials}, parallel: 1, scheduler: {scheduler}}}
students:
  models: [resnet8]
  seeds: [0, 1]
  methods:
    - kd: {{search: {{space: {{temperature: {{uniform: [1, 8]}}, recipe: {{lr: {{loguniform: [0.01, 0.2]}}}}}}}}}}
  recipe: {{epochs: {epochs}, batch_size: 32}}
tracking: {{enabled: false}}
"""


def experiment(folder, trials=4, scheduler="asha", epochs=3):
    file = folder / "searched.yaml"
    file.write_text(SEARCHED.format(store=folder / "store", trials=trials, scheduler=scheduler, epochs=epochs))
    return file


def tried(file):
    """The trials of the experiment's search, without times."""
    spec = load(file)
    [search] = make(spec).of("search")
    entry = Store(spec.store).entry("search", search.key)
    return [(trial.number, trial.values, trial.state, trial.accuracies) for trial in trials_of(TRIALS.read(entry))], entry


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    file = experiment(tmp_path_factory.mktemp("searched"))
    return file, run(file, executor="inline")


def test_the_winner_is_trained_as_if_its_values_had_been_written(finished, tmp_path):
    """To the same bits as a student whose YAML holds the values."""
    file, outcome = finished
    assert not outcome.failed
    _, entry = tried(file)
    chosen = entry.results["chosen"]
    text = file.read_text().replace(
        "search: {space: {temperature: {uniform: [1, 8]}, recipe: {lr: {loguniform: [0.01, 0.2]}}}}", ""
    )
    by_hand = tmp_path / "hand.yaml"
    by_hand.write_text(text)
    hand = run(
        by_hand,
        executor="inline",
        overrides=[f"students.methods.0.kd.temperature={chosen['temperature']}", f"students.recipe.lr={chosen['recipe.lr']}"],
    )
    searched = [job for job in outcome.plan.of("student") if "searches" in job.parents]
    for mine, theirs in zip(searched, hand.plan.of("student"), strict=True):
        ours, those = outcome.store.entry("student", mine.key), hand.store.entry("student", theirs.key)
        assert ours.manifest["files"]["model.safetensors"]["sha256"] == those.manifest["files"]["model.safetensors"]["sha256"]
        assert ours.results["test_accuracy"] == those.results["test_accuracy"]
        assert ours.results["searched"] == chosen


def test_no_trial_reads_the_test_split(finished):
    _, outcome = finished
    entries = list(outcome.store.entries("trial"))
    assert entries
    for entry in entries:
        assert not [name for name in entry.results if "test" in name]
        names = set(read_table(entry.file("history.arrow"))["name"].to_pylist())
        assert "validation/accuracy" in names
        assert not [name for name in names if "test" in name]


def test_again_does_nothing_and_more_trials_go_on(finished):
    file, _ = finished
    first, _ = tried(file)
    assert run(file, executor="inline").computed == 0
    more = run(file, executor="inline", overrides=["search.trials=5"])
    [search] = more.plan.of("search")
    five = trials_of(TRIALS.read(more.store.entry("search", search.key)))
    assert [trial.values for trial in five[:4]] == [values for _, values, _, _ in first]
    assert len(five) == 5


def test_a_population_ends_with_a_winner(tmp_path):
    file = experiment(tmp_path, scheduler="pbt")
    outcome = run(file, executor="inline")
    assert not outcome.failed
    trials, entry = tried(file)
    assert len(trials) == 12  # 4 members, a generation for each of 3 epochs
    assert [len(accuracies) for _, _, _, accuracies in trials] == [1] * 4 + [2] * 4 + [3] * 4
    assert entry.results["trial"] >= 8


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["asha", "pbt"])
def test_ray_makes_what_inline_makes(tmp_path, scheduler):
    """One trial at a time: the same suggestions, the same accuracies, the same winner; killed in between, too."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    trials = 4 if scheduler == "pbt" else 8
    inline = experiment(here, trials=trials, scheduler=scheduler, epochs=5)
    assert not run(inline, executor="inline").failed

    on_ray = experiment(there, trials=trials, scheduler=scheduler, epochs=5)
    process = start_run(on_ray, plain=True)
    spec = load(on_ray)
    [search] = make(spec).of("search")
    store = Store(spec.store)
    wait_for(lambda: store.progress(search).get("ended", 0) >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    told = [store.read_work(search, name) for name in store.list_work(search, "trials")]
    kept = [trial for trial in told if trial["state"] != "running"]
    assert kept
    again = start_run(on_ray, plain=True)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert tried(on_ray)[0] == tried(inline)[0]
    _, entry = tried(on_ray)
    after = trials_of(TRIALS.read(entry))
    for trial in kept:  # not run again: the same times
        assert after[trial["number"]].finished == trial["finished"]


@pytest.mark.slow
def test_a_killed_worker_of_a_trial_goes_on_from_its_checkpoint(tmp_path):
    file = experiment(tmp_path, trials=2, scheduler="none", epochs=12)
    process = start_run(file, plain=True)
    store = tmp_path / "store"

    def at_work():
        for path in store.glob("work/trial/*/progress.json"):
            said = json.loads(path.read_text())
            if 3 <= said.get("epoch", 0) < 11:
                return said["pid"]
        return None

    os.kill(wait_for(at_work, process), signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    trials, _ = tried(file)
    assert [(state, len(accuracies)) for _, _, state, accuracies in trials] == [("done", 12), ("done", 12)]


def wait_for(condition, process, seconds=180):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    raise AssertionError("it did not come so far")
