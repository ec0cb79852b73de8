"""A finished experiment and its store, made by hand: nothing is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kd_core.bank.config import BankConfig
from kd_core.data.place import Place
from kd_core.data.table import DataConfig
from kd_core.methods.table import METHODS
from kd_core.probes.config import ProbeConfig
from kd_core.recipe import Recipe
from orchestrator.experiment.spec import MethodSpec, Spec, StudentSpec, TeacherSpec
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan, make
from orchestrator.store.arrow import write_table
from orchestrator.store.store import Store
from tests.support.least import least

TEACHERS = {"resnet20-s0": 0.97, "resnet32-s0": 0.975, "wrn_16_2-s0": 0.98}
PROBES = {  # accuracy by layer; every teacher is the best of one layer or more
    "resnet20-s0": (0.70, 0.90, 0.96, 0.962),
    "resnet32-s0": (0.68, 0.92, 0.97, 0.971),
    "wrn_16_2-s0": (0.66, 0.91, 0.98, 0.985),
}
LAYERS = ("stage0", "stage1", "stage2", "embedding")  # as the report calls them
SHAPE = {"stages": [[16, 8, 8], [32, 4, 4], [64, 2, 2]], "embedding": 64, "classes": 10}
RESULTS = {  # test accuracy of the seeds 0, 1, 2
    "none": (0.90, 0.91, 0.92),
    "kd": (0.92, 0.94, 0.93),
    "gpac": (0.94, 0.96, 0.95),
}


def a_plan(
    results: Mapping[str, Sequence[float | None]] = RESULTS,
    *,
    models: Sequence[str] = ("resnet8",),
    labels: Mapping[str, str] | None = None,
    epochs: Sequence[int] = (4,),
    name: str = "toy",
) -> Plan:
    """Three teachers, probes, and a student for every model, method, value and number of epochs."""
    students = [
        StudentSpec(
            model=model,
            seed=seed,
            method=MethodSpec(method, METHODS[method].Config(), (labels or {}).get(method, method)),
            teachers=tuple(TEACHERS),
            recipe=Recipe(epochs=length),
            cell=f"{model}-{method}-{length}",
        )
        for length in epochs
        for model in models
        for method, values in results.items()
        for seed in range(len(values))
    ]
    return make(
        Spec(
            name=name,
            file="toy.yaml",
            store="store",
            data=DataConfig("digits").resolved(),
            place=Place(),
            teachers=tuple(TeacherSpec(name, name.rpartition("-")[0], 0, Recipe(epochs=4)) for name in TEACHERS),
            probes=ProbeConfig(),
            students=tuple(students),
            bank=BankConfig("off"),
        )
    )


def the_student(plan: Plan, method: str, seed: int) -> Job:
    [job] = [job for job in plan.of("student") if (job.config["method"]["name"], job.config["seed"]) == (method, seed)]
    return job


def a_store(root: Path, plan: Plan, results: Mapping[str, Sequence[float | None]] = RESULTS) -> Store:
    """All of the plan is done, but for the students whose value is None: those have not been run."""
    store = Store(root)
    for job in plan:
        if job.kind == "teacher":
            commit(store, job, TEACHERS[job.title])
        elif job.kind == "probe":
            attempt = store.begin(job)
            write_table(_probe_table(plan, job), attempt.path / "probes.arrow")
            attempt.commit(least(job.kind), 1.0)
        elif (value := results[job.config["method"]["name"]][job.config["seed"]]) is not None:
            commit(store, job, value)
    return store


def commit(store: Store, job: Job, accuracy: float, **more: Any) -> None:
    """A teacher's or student's entry. Validation is a point above the test accuracy, the last epoch a point below."""
    attempt = store.begin(job)
    (attempt.path / "model.safetensors").write_bytes(b"weights")
    write_table(_history(job, accuracy), attempt.path / "history.arrow")
    results = {
        "validation_accuracy": accuracy + 0.01,
        "validation_accuracy_last": accuracy,
        "test_accuracy": accuracy,
        "test_accuracy_last": accuracy - 0.01,
        "test_loss": 0.3,
        "chosen_epoch": job.epochs - 1,
        "epochs": job.epochs,
        "parameters": 278_324,
        "shape": SHAPE,
        "device": "cpu",
        **more,
    }
    attempt.commit(results, 20.0 + job.config["seed"])


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine, commit and moment everywhere."""
    versions = {"python": "3.11.2", "torch": "2.13.0", "git_commit": "0123456789abcdef0123456789abcdef01234567"}
    monkeypatch.setattr("orchestrator.store.attempt.environment", lambda: versions)
    monkeypatch.setattr("orchestrator.store.attempt.time.time", lambda: 1_760_000_000.0)


def _probe_table(plan: Plan, job: Job) -> pa.Table:
    [key] = job.parents["teachers"]
    rows = [
        {
            "teacher": key,
            "model": plan.jobs[key].config["model"],
            "seed": 0,
            "stage": stage,
            "layer": layer if layer == "embedding" else f"{plan.jobs[key].config['model'][:3]}{stage}",  # its own name for it
            "height": 8 >> stage,
            "width": 8 >> stage,
            "dimension": 16 << stage,
            "split": split,
            "accuracy": accuracy if split == "validation" else 1.0,
            "loss": 0.1,
            "regularisation": 1.0,
            "iterations": 9,
            "converged": True,
            "seconds": 0.1,
        }
        for stage, (layer, accuracy) in enumerate(zip(LAYERS, PROBES[plan.jobs[key].title], strict=True))
        for split in ("train", "validation")
    ]
    return pa.Table.from_pylist(rows)


def _history(job: Job, accuracy: float) -> pa.Table:
    weights = {f"weight/teacher{index}": (index + 1) / 6 for index, _ in enumerate(job.parents.get("teachers", []))}
    seed = job.config["seed"]
    rows = [
        {"epoch": epoch, "time_ms": 1000 * epoch, "seconds": 5.0, "name": name, "value": value}
        for epoch in range(1, job.epochs + 1)
        for name, value in {
            "loss": 1 / epoch,
            "validation/accuracy": accuracy + 0.01 - 0.8 * math.exp(-epoch * (4 + seed / 4) / job.epochs),
            **weights,
        }.items()
    ]
    return pa.Table.from_pylist(rows)
