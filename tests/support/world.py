"""A small experiment and a store of it, made by hand: nothing is trained."""

from __future__ import annotations

import dataclasses
import os
import time

import pyarrow as pa

from kd_core.bank.config import BankConfig
from kd_core.data.place import Place
from kd_core.data.table import DataConfig
from kd_core.methods.table import METHODS
from kd_core.probes.config import ProbeConfig
from kd_core.recipe import Recipe
from orchestrator.experiment.spec import MethodSpec, Resources, Spec, StudentSpec, TeacherSpec
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan, make
from orchestrator.store.arrow import write_table
from orchestrator.store.store import PROGRESS, Store
from tests.support.least import least

RECIPE = Recipe(epochs=10)
TEACHERS = ("resnet20-s0", "resnet8-s0")


def a_spec(store="store", *, lr=0.05, epochs=10, methods=("none", "kd"), seeds=(0, 1), resources=None, bank=None) -> Spec:
    """Two teachers, trained for ``epochs``; each method's students of one model, ``lr`` their learning rate."""
    students = [
        StudentSpec(
            model="resnet8",
            seed=seed,
            method=MethodSpec(name, METHODS[name].Config(), name),
            teachers=TEACHERS,
            recipe=dataclasses.replace(RECIPE, lr=lr),
            cell=f"resnet8-{name}",
        )
        for name in methods
        for seed in seeds
    ]
    return Spec(
        name="toy",
        file="toy.yaml",
        store=str(store),
        data=DataConfig("digits").resolved(),
        place=Place(),
        teachers=tuple(
            TeacherSpec(name, name.split("-")[0], 0, dataclasses.replace(RECIPE, epochs=epochs)) for name in TEACHERS
        ),
        probes=ProbeConfig(),
        students=tuple(students),
        bank=bank or BankConfig("off"),
        resources=resources or Resources(),
    )


def a_plan(**changes) -> Plan:
    return make(a_spec(**changes))


def the(plan: Plan, title: str) -> Job:
    [job] = [job for job in plan if job.title == title]
    return job


def finish_job(store: Store, job: Job, seconds: float = 20.0, besides: float = 0.0, workers: int = 1, **results) -> None:
    """Commit an entry as the stage would leave it after ``seconds`` of epochs, with the least that readers need."""
    attempt = store.begin(job)
    if besides:
        attempt.started -= seconds + besides
    if job.kind == "probe":
        write_table(probe_table(job), attempt.path / "probes.arrow")
    elif job.epochs:
        (attempt.path / "model.safetensors").write_bytes(b"weights")
        rows = [
            {"epoch": epoch, "time_ms": 1000 * epoch, "seconds": seconds / job.epochs, "name": name, "value": value}
            for epoch in range(1, job.epochs + 1)
            for name, value in (("loss", 1 / epoch), ("validation/accuracy", 0.9))
        ]
        write_table(pa.Table.from_pylist(rows), attempt.path / "history.arrow")
        accuracy = {
            f"{split}_accuracy{which}": 0.9 + job.config.get("seed", 0) / 100
            for split in ("validation", "test")
            for which in ("", "_last")
        }
        numbers = {"chosen_epoch": job.epochs, "epochs": job.epochs, "test_loss": 0.3, "parameters": 1000, "device": "cpu"}
        results = accuracy | numbers | results
    attempt.commit(least(job.kind, **results), seconds, {"workers": workers})
    store.clear(job)


def probe_table(job: Job) -> pa.Table:
    [teacher] = job.parents["teachers"]
    rows = [
        {
            "teacher": teacher,
            "model": "resnet8",
            "seed": 0,
            "stage": stage,
            "layer": layer,
            "height": 8,
            "width": 8,
            "dimension": 16,
            "split": "validation",
            "accuracy": 0.5 + stage / 10,
            "loss": 0.1,
            "regularisation": 1.0,
            "iterations": 9,
            "converged": True,
            "seconds": 0.1,
        }
        for stage, layer in enumerate(("stage0", "stage1", "embedding"))
    ]
    return pa.Table.from_pylist(rows)


def begin(store: Store, job: Job, epoch: int, *, seconds: float = 2.0, ago: float = 0.0) -> None:
    """What a job leaves that is at work: a checkpoint's name and its progress, said ``ago`` seconds before now."""
    store.work(job).write(f"epoch-{epoch:05d}.0123456789abcdef.safetensors", b"")
    progress = {"epoch": epoch, "epochs": job.epochs, "seconds": seconds, "accuracy": 0.8, "loss": 1.0}
    store.write_work(job, PROGRESS, {"attempt": "a", "started": 0.0, "updated": time.time() - ago, **progress})


def remove_entry(store: Store, job: Job) -> None:
    """Have an entry gone without a trace."""
    store.backend.remove_tree(f"{job.kind}/{job.key}")


def tamper(store: Store, job: Job) -> None:
    """Cut a byte from a file of an entry."""
    path = store.entry(job.kind, job.key).file("model.safetensors")
    os.truncate(path, path.stat().st_size - 1)
