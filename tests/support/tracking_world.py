"""A store made by hand, at any moment of an experiment's life, and all that MLflow holds of it as plain values."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors.numpy

from kd_core.bank.config import BankConfig
from kd_core.data.place import Place
from kd_core.data.table import DataConfig
from kd_core.methods.table import METHODS
from kd_core.probes.config import ProbeConfig
from kd_core.recipe import Recipe
from kd_core.training.checkpoint_files import newest_first
from orchestrator.experiment.spec import MethodSpec, Spec, StudentSpec, TeacherSpec, Tracking
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan, make
from orchestrator.store.arrow import write_table
from orchestrator.store.store import PROGRESS, Store
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.projection import Summary, opened, project
from orchestrator.tracking.server import settings
from tests.support.least import least

EPOCHS = 3
T0 = 1_700_000_000_000  # when every training's first epoch begins, Unix ms; an epoch takes 1 s
RESULTS = {
    "validation_accuracy": 0.875,
    "validation_accuracy_last": 0.75,
    "test_accuracy": 0.625,
    "test_accuracy_last": 0.5,
    "test_loss": 0.25,
    "chosen_epoch": 2,
    "epochs": EPOCHS,
    "parameters": 78_042,
}
METRICS = ("loss", "loss/ce", "validation/accuracy", "weight/teacher0")


def a_spec(root: Path, *, seeds: int = 2, teachers: int = 2, epochs: int = EPOCHS, uri: str | None = None) -> Spec:
    """``teachers`` teachers and their probes, and ``seeds`` students of kd; a bank for each teacher."""
    names = [f"resnet8-s{seed}" for seed in range(teachers)]
    students = [
        StudentSpec("resnet8", seed, MethodSpec("kd", METHODS["kd"].Config(), "kd"), tuple(names), Recipe(epochs=epochs), "kd")
        for seed in range(seeds)
    ]
    return Spec(
        name="toy",
        file="experiments/toy.yaml",
        store=str(root / "a store"),
        data=DataConfig("digits").resolved(),
        place=Place(),
        teachers=tuple(TeacherSpec(name, "resnet8", seed, Recipe(epochs=epochs)) for seed, name in enumerate(names)),
        probes=ProbeConfig(),
        students=tuple(students),
        bank=BankConfig("on"),
        tracking=Tracking(uri=uri),
    )


@dataclasses.dataclass
class World:
    """An experiment and what happens to it."""

    spec: Spec

    def __post_init__(self) -> None:
        self.plan: Plan = make(self.spec)
        self.store = Store(self.spec.store)
        self.store.prepare()
        self.jobs = [job for job in self.plan if job.kind != "bank"]

    def of(self, kind: str) -> list[Job]:
        return self.plan.of(kind)

    def begin(self, job: Job, epochs: int = 0, *, again: int = 0) -> None:
        """The job is at work and ``epochs`` are done. ``again``: the last of them for so many times, at another moment."""
        work = self.store.work(job)
        if epochs:
            history = [record(job, epoch, again if epoch == epochs else 0) for epoch in range(1, epochs + 1)]
            content = safetensors.numpy.save({"w": np.zeros(1)}, {"history": json.dumps(history)})
            for old in newest_first(work):
                work.remove(old)
            work.write(f"epoch-{epochs:05d}.0123456789abcdef.safetensors", content)
        now = (T0 + 1000 * epochs) / 1000
        progress = {"attempt": "a", "started": T0 / 1000, "updated": now, "epoch": epochs}
        self.store.write_work(job, PROGRESS, progress)

    def fail(self, job: Job, reason: str) -> None:
        self.begin(job, min(1, job.epochs))
        self.store.fail(job, {"reason": reason, "terms": {"ce": float("nan")}})

    def finish(self, *jobs: Job, again: int = 0) -> None:
        """The jobs are done, in a training of :data:`EPOCHS`, whose last epoch was repeated ``again`` times."""
        for job in jobs:
            self.store.forget_failure(job)
            attempt = self.store.begin(job)
            if job.kind == "probe":
                write_table(probe_table(job), attempt.path / "probes.arrow")
                attempt.commit({"stage0": 0.5, "embedding": 0.75}, 2.0)
            elif job.kind == "bank":
                attempt.commit(least("bank", views=162), 2.0)
            else:
                (attempt.path / "model.safetensors").write_bytes(
                    safetensors.numpy.save({"w": np.zeros(job.config["seed"] + 1)})
                )
                history = [record(job, epoch, again if epoch == job.epochs else 0) for epoch in range(1, job.epochs + 1)]
                write_table(history_table(history), attempt.path / "history.arrow")
                attempt.commit(least(job.kind, **RESULTS, device="cpu"), 3.5)
            self.store.clear(job)

    def finish_all(self) -> None:
        self.finish(*self.plan)


def record(job: Job, epoch: int, again: int = 0) -> dict[str, Any]:
    """What a checkpoint tells of an epoch: every metric's value is its position / epoch."""
    metrics = {name: position / epoch for position, name in enumerate(METRICS, 1)}
    return {"epoch": epoch, "time_ms": T0 + 1000 * epoch + 7 * again, "seconds": 1.0, "metrics": metrics}


def history_table(history: list[dict[str, Any]]) -> pa.Table:
    rows = [
        {"epoch": one["epoch"], "time_ms": one["time_ms"], "seconds": one["seconds"], "name": name, "value": value}
        for one in history
        for name, value in one["metrics"].items()
    ]
    return pa.Table.from_pylist(rows)


def probe_table(job: Job) -> pa.Table:
    [teacher] = job.parents["teachers"]
    measures = {"loss": 0.1, "regularisation": 1.0, "iterations": 9, "converged": True, "seconds": 0.1}
    rows = [
        {"teacher": teacher, "model": "resnet8", "seed": 0, "stage": stage, "layer": layer, "height": 8, "width": 8}
        | {"dimension": 16, "split": split, "accuracy": 0.5 + stage / 4 + (split == "train") / 8, **measures}
        for stage, layer in enumerate(("stage0", "embedding"))
        for split in ("train", "validation")
    ]
    return pa.Table.from_pylist(rows)


def note(folder: Path) -> None:
    """The artifacts of the experiment, as short as can be."""
    (folder / "report.md").write_text("all is well")


def client(world: World) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_location(world.spec, world.store).uri)


def living(client: Any) -> list[Any]:
    return client.search_runs([one.experiment_id for one in client.search_experiments()], max_results=1000)


def dump(client: Any, *, start: bool = True, artifacts: bool = True) -> dict[str, dict[str, Any]]:
    """All that MLflow holds, by run, without what it chooses itself: ids and places."""
    runs = living(client)
    keys = {run.info.run_id: run.data.tags["mlflow.kd.key"] for run in runs}
    assert len(set(keys.values())) == len(runs), "a job has two runs"
    held = {}
    for run in runs:
        tags = dict(run.data.tags)
        if parent := tags.pop("mlflow.parentRunId", ""):
            tags["parent"] = keys[parent]
        points = sorted(
            (name, one.step, one.timestamp, one.value)
            for name in run.data.metrics
            for one in client.get_metric_history(run.info.run_id, name)
        )
        held[keys[run.info.run_id]] = {
            "status": run.info.status,
            "name": run.info.run_name,
            "time": (run.info.start_time if start else None, run.info.end_time),
            "params": run.data.params,
            "tags": tags,
            "points": points,
            "data": [
                (one.dataset.name, one.dataset.digest, *(tag.value for tag in one.tags)) for one in run.inputs.dataset_inputs
            ],
            "files": _files(client, run.info.run_id) if artifacts else None,
        }
    return held


def _files(client: Any, run_id: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        return {
            one.path: hashlib.sha256(Path(client.download_artifacts(run_id, one.path, folder)).read_bytes()).hexdigest()
            for one in client.list_artifacts(run_id)
        }


def elsewhere(world: World, empty: Path) -> World:
    """The same store, to be projected into a database of its own without any run."""
    file = world.store.root / f"mlflow-{uuid.uuid4().hex}.db"
    shutil.copy(empty, file)
    return World(dataclasses.replace(world.spec, tracking=Tracking(uri=f"sqlite:///{file}")))


def mirror(world: World, running: Sequence[str] = (), **options: Any) -> Summary:
    """Project the store."""
    return project(world.spec, world.plan, world.store, running=running, artifacts=note, **options)


def afresh(world: World, empty: Path) -> dict[str, Any]:
    """What MLflow holds where the store is projected into an empty database."""
    other = elsewhere(world, empty)
    mirror(other)
    return dump(client(other))


def killed_anywhere(world: World, empty: Path, step: int = 1) -> int:
    """Kill the process after every ``step``-th write of a projection: each time the next one ends as one that was not killed.

    Returns after how many writes there was nothing left to kill.
    """
    whole, writes = afresh(world, empty), 0
    while True:
        world = elsewhere(world, empty)
        try:
            with settings(), opened(world.spec, world.plan, world.store, note) as projection:
                projection.server._client = _Dying(projection.server._client, writes)
                projection.sync()
            return writes
        except _Dying.Killed:
            mirror(world)
            assert dump(client(world)) == whole, f"killed after write {writes}"
            writes += step


class _Dying:
    """A client whose process is killed right after so many writes."""

    class Killed(BaseException):
        pass

    def __init__(self, real: Any, writes: int) -> None:
        self._real = real
        self._left = writes

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name in ("search_runs", "get_experiment_by_name"):
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            answer = method(*arguments, **named)
            self._left -= 1
            if self._left < 0:
                raise _Dying.Killed
            return answer

        return call
