"""Runs of cells: means over seeds, as they were when each seed ended."""

from __future__ import annotations

import dataclasses

import pytest

from kd_core.methods.table import METHODS
from orchestrator.experiment.spec import MethodSpec
from orchestrator.store.store import Store
from orchestrator.tracking.names import as_planned, metric
from tests.support.least import least
from tests.support.tracking_world import World, a_spec, client, dump, elsewhere, mirror

ACCURACY = {("none", 0): 0.5, ("none", 1): 0.75, ("kd", 0): 0.75, ("kd", 1): 0.5}  # by method and seed


@pytest.fixture
def world(tmp_path, empty):
    spec = a_spec(tmp_path, teachers=1)
    plain = MethodSpec("none", METHODS["none"].Config(), "none")
    controls = [dataclasses.replace(student, method=plain, cell="none") for student in spec.students]
    return elsewhere(World(dataclasses.replace(spec, students=(*controls, *spec.students))), empty)


def finish(world, method, seed, at):
    """A student that ended at a moment, Unix seconds."""
    [job] = [j for j in world.of("student") if (j.config["method"]["name"], j.config["seed"]) == (method, seed)]
    attempt = Store(world.spec.store).begin(job)
    attempt.started = at - 1
    (attempt.path / "model.safetensors").write_bytes(b"weights")
    attempt.commit(least("student", test_accuracy=ACCURACY[method, seed], validation_accuracy=0.5, device="cpu"), 1.0)


def numbers(world, cell):
    """What is held of a cell, moment by moment: the steps and, by name, the values in the order of time."""
    run = dump(client(world))[f"cell:{cell}"]
    assert {step for _, step, _, _ in run["points"]} <= {0}
    found = {}
    for name, _, _, value in sorted(run["points"], key=lambda point: point[2]):
        if name != "epoch_seconds":
            found.setdefault(name, []).append(value)
    return run, found


def test_means_are_as_they_were_when_each_seed_ended(world, monkeypatch):
    """kd: 0.75, then 0.75 and 0.5: their mean 0.625 and standard deviation √(2 · 0.125²) = 0.17678. Plain training has 0.5 and
    0.75, so the differences are +0.25, and +0.25 and −0.25: 0 on average."""
    for end, (method, seed) in enumerate((("kd", 0), ("none", 0), ("kd", 1), ("none", 1)), start=1):
        monkeypatch.setattr("time.time", lambda end=end: 1000.0 * end)
        finish(world, method, seed, 1000.0 * end)
        mirror(world, running=["something"])
    run, found = numbers(world, "kd")
    assert found["test/accuracy.mean"] == [0.75, 0.75, 0.625, 0.625]
    assert found["test/accuracy.n"] == [1, 1, 2, 2]
    assert found["test/accuracy.std"] == pytest.approx([0.17678, 0.17678], abs=1e-5)
    assert found["test/accuracy.vs_plain"] == [0.25, 0.25, 0]
    assert found["validation/accuracy_chosen.mean"] == [0.5] * 4
    assert run["params"]["method"] == "kd"
    assert "seed" not in run["params"]
    assert "Test accuracy 62.50 ± 17.68 %" in run["tags"]["mlflow.note.content"]
    assert "+0.00 points" in run["tags"]["mlflow.note.content"]
    plain, of_plain = numbers(world, "none")
    assert "test/accuracy.vs_plain" not in of_plain
    assert plain["name"] == "none"
    assert "| kd | 62.50 ± 17.68 | +0.00 |" in (
        mirror(world) and dump(client(world))["experiment:toy"]["tags"]["mlflow.note.content"]
    )
    held = dump(client(world))
    mirror(world, rebuild=True)
    assert dump(client(world)) == held


def test_a_cell_that_fails_says_so_and_one_at_work_runs(world):
    first, second = world.of("student")[:2]
    world.begin(first, 1)
    mirror(world, running=[first.key])
    assert dump(client(world))["cell:none"]["status"] == "RUNNING"
    world.fail(first, "the loss diverged")
    world.finish(second)
    mirror(world)
    assert dump(client(world))["cell:none"]["status"] == "FAILED"
    assert numbers(world, "none")[1]["test/accuracy.n"] == [1]
    assert "of which 1 of 2 are done" in numbers(world, "none")[0]["tags"]["mlflow.note.content"]


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ("test_accuracy", "test/accuracy"),
        ("test_accuracy_last", "test/accuracy_last"),
        ("validation_accuracy", "validation/accuracy_chosen"),
        ("validation_accuracy_last", ""),
        ("accuracy@0.1", "accuracy/0.1"),
        ("parameters", "parameters"),
    ],
)
def test_names_of_results(result, shown):
    assert metric(result) == shown


def test_milestones_are_told_as_they_are_planned():
    recipe = {"epochs": 8, "schedule": "multistep", "milestones": None}
    assert as_planned({"model": "resnet8", "recipe": recipe})["recipe"]["milestones"] == [5, 6, 7]
    for config in ({"recipe": recipe}, {"model": "m"}, {"model": "m", "recipe": {**recipe, "schedule": "cosine"}}):
        assert as_planned(config) == config
