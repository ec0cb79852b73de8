"""Teachers, and of each student and method the best seed, as models of MLflow, which ``mlflow.pytorch.load_model`` loads.

Each is a program of torch.export, as ``kd export`` writes it: from images to probabilities, with its preprocessing, without a
pickle. It is below the run that trained it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.experiment.spec import Spec
from orchestrator.export.description import ExportError
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.planning.names import path_of
from orchestrator.planning.plan import Plan
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store
from orchestrator.tracking.history import Point
from orchestrator.tracking.names import metric
from orchestrator.tracking.server import LoggedModel, Model, Run, Server
from orchestrator.tracking.tags import KEY, WRITTEN

FORMAT = 1  # raise it when a change of code changes what a model is
IMAGES = 2  # in the example of an input
FORBIDDEN = re.compile(r"[^\w\-=+]+")  # of which MLflow takes some in no name


@dataclass(frozen=True)
class ModelSummary:
    """What was done, in models."""

    logged: int
    unchanged: int
    registered: int | None = None  # versions; None where that was not asked for
    refused: tuple[str, ...] = ()  # what cannot be a model, and why

    def __str__(self) -> str:
        registered = "" if self.registered is None else f", {self.registered} registered"
        return "\n".join([f"{self.logged} models logged, {self.unchanged} unchanged{registered}", *self.refused])


def log_models(
    spec: Spec, plan: Plan, store: Store, server: Server, runs: Callable[[str], Run | None], *, register: bool = False
) -> ModelSummary:
    """Keep every model that is not there, and finish what was killed in between.

    Args:
        runs: the run of a job, by its key.
        register: whether each becomes a version of a registered model, named by the experiment and what it is.

    Raises:
        DataError, CorruptEntry: where the data or the store cannot be read.
        mlflow.exceptions.MlflowException, OSError, sqlalchemy.exc.SQLAlchemyError: where MLflow fails.
    """
    whose = {"kd.experiment": spec.name, "kd.store": store.identity()}
    there: dict[str, list[LoggedModel]] = {}
    for model in server.models(whose):
        there.setdefault(model.tags.get(KEY, ""), []).append(model)
    logged = unchanged = registered = 0
    refused: list[str] = []
    for job, entry in chosen(plan, store):
        if (run := runs(job.key)) is None:  # kept away by the user
            continue
        fingerprint = canonical.digest([FORMAT, path_of(job), entry.manifest])
        kept = ""
        for model in there.get(job.key, []):
            if model.ready and not kept and model.run == run.id and model.tags.get(WRITTEN) == fingerprint:
                kept = model.id
            else:
                server.drop_model(model)
        tags = {**whose, KEY: job.key, "kd.stage": job.kind, WRITTEN: fingerprint}
        if kept:
            unchanged += 1
        else:
            try:
                kept = _log(spec, store, server, run, job, entry, tags)
            except ExportError as error:
                refused.append(f"{job.title} is no model: {error}")
                continue
            logged += 1
        if register:
            registered += server.register(name_of(plan, job), kept, run, {"kd.job": job.key, "kd.run": path_of(job)})
    return ModelSummary(logged, unchanged, registered if register else None, tuple(refused))


def chosen(plan: Plan, store: Store) -> Iterator[tuple[Job, Entry]]:
    """The teachers that are done, and of each cell the seed that is done and best by validation accuracy, else the first."""
    from orchestrator.export.export import best

    for job in plan.of("teacher"):
        if entry := store.find(job.kind, job.key):
            yield job, entry
    cells: dict[str, list[tuple[Job, Entry]]] = {}
    for job in plan.of("student"):
        if entry := store.find(job.kind, job.key):
            cells.setdefault(job.labels["cell"], []).append((job, entry))
    for done in cells.values():
        yield best(done)


def name_of(plan: Plan, job: Job) -> str:
    """Of the registered model: the seeds of a student are versions of one."""
    what = job.labels["cell"] if job.kind == "student" else job.title
    return FORBIDDEN.sub("-", f"{plan.name}-{what}")


def _log(spec: Spec, store: Store, server: Server, run: Run, job: Job, entry: Entry, tags: dict[str, str]) -> str:
    import torch

    from kd_core.data.views import middle
    from orchestrator.export import program
    from orchestrator.export.compare import some
    from orchestrator.export.export import deployed

    network, splits = deployed(spec, store, job, entry)
    kept_NCHW, _ = some(splits.test, IMAGES)
    example_BCHW = middle(kept_NCHW, splits.image[1])
    ended = int(1000 * entry.manifest["finished"])
    accuracies = {metric(name): entry.results.get(name) for name in ("validation_accuracy", "test_accuracy")}
    with tempfile.TemporaryDirectory(prefix="kd-") as folder:
        file = Path(folder) / "model.pt2"
        program.save(network, example_BCHW, file)
        model = Model(
            FORBIDDEN.sub("-", path_of(job)),
            network,
            example_BCHW.numpy(),
            splits.classes,
            file,
            torch.__version__.partition("+")[0],
            [Point(name, float(value), ended, 0) for name, value in accuracies.items() if value is not None],
        )
        return server.log_model(run, model, tags)
