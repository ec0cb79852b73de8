"""Take a finished student out of the store: a folder with the network, what it expects, its card, and what it costs."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from kd_core.data.splits import Splits
from kd_core.data.views import middle
from kd_core.deploy import Deployed
from kd_core.models.measure import latency, multiplications
from orchestrator.executors.runtimes import Runtimes
from orchestrator.experiment.spec import Spec
from orchestrator.export import description
from orchestrator.export.card import card
from orchestrator.export.compare import compare, some
from orchestrator.export.description import Comparison, Cost, Description, ExportError, Input
from orchestrator.export.formats import FORMATS, Format, Run
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.stages.evaluation import classifier_of
from orchestrator.stages.networks import splits_of
from orchestrator.stages.runner import Follower
from orchestrator.store.artifacts import PREDICTIONS
from orchestrator.store.entry import Entry
from orchestrator.store.files import OutputError, OutputFailed, sha256
from orchestrator.store.provenance import environment, processor
from orchestrator.store.store import Store

BATCHES = (1, 32)  # images at once, whose latency is measured


def best_of(jobs: list[Job], store: Store) -> tuple[Job, Entry]:
    """Of the seeds of a student the one that is done and has the best validation accuracy, or else the first.

    Raises:
        ExportError: where none is done, or they are no students.
    """
    if any(job.kind != "student" for job in jobs):
        raise ExportError(f"`{jobs[0].title}` is a {jobs[0].kind}; only students are exported")
    if len({job.labels["cell"] for job in jobs}) > 1:
        raise ExportError(f"several students are called so: {', '.join(job.title for job in jobs)}")
    done = [(job, entry) for job in jobs if (entry := store.find(job.kind, job.key))]
    if not done:
        raise ExportError(f"{jobs[0].title} is not done: there is nothing to export yet")
    return best(done)


def best(done: Sequence[tuple[Job, Entry]]) -> tuple[Job, Entry]:
    """Of seeds that are done the one with the best validation accuracy, or else the first."""
    return max(done, key=lambda found: found[1].results.get("validation_accuracy", 0))


def export(
    spec: Spec, plan: Plan, store: Store, job: Job, entry: Entry, format: str, folder: Path, *, check: bool = True
) -> Description:
    """Write a student's folder, in one step: it is there whole or not at all.

    Raises:
        ExportError: where the format cannot hold the student, or what is read again from the file says something else.
        OutputError, OutputFailed: where the folder cannot be written.
        DataError: where the data that tells labels and preprocessing cannot be read.
        CorruptEntry: where a file of the store is not what its manifest says.
    """
    chosen = FORMATS[format]
    chosen.check(format)
    half = entry.manifest["config"]["recipe"].get("precision") == "bf16"
    with _made(folder) as beside:
        student, splits = deployed(spec, store, job, entry)
        kept_NCHW, places_N = some(splits.test)
        images_NCHW = middle(kept_NCHW, splits.image[1])
        chosen.save(student, images_NCHW, beside / chosen.file)
        about = Description(
            format=format,
            file=chosen.file,
            sha256=sha256(beside / chosen.file),
            input=Input(splits.image[0], splits.test.image[1], splits.image[1], list(splits.mean), list(splits.std)),
            labels=list(splits.names) or [str(label) for label in range(splits.classes)],
            model=job.config["model"],
            plugins=dict(job.config.get("plugins", {})),
            experiment=plan.name,
            student=job.title,
            key=job.key,
            results={name: value for name, value in entry.results.items() if isinstance(value, int | float)},
            versions=environment(),
        )
        run = chosen.load(beside / chosen.file, about)
        comparison: Comparison | None = None
        if check:
            tested_N = _tested(entry, places_N)
            original = torch.autocast("cpu", torch.bfloat16, enabled=half)(student)
            comparison = compare(run, original, images_NCHW, tested_N, rounded=half)
            if comparison.largest_difference > comparison.tolerance:
                raise ExportError(
                    f"{job.title} as {format} does not say what the original says: a probability differs by "
                    f"{comparison.largest_difference:.2g} (allowed: {comparison.tolerance:g}); nothing was written"
                )
        about = _with(about, _cost(student, run, chosen, beside, images_NCHW), comparison)
        description.write(beside, about)
        teachers = [found for key in job.parents.get("teachers", []) if (found := store.find("teacher", key))]
        (beside / description.CARD).write_text(card(about, job, entry, plan, teachers, chosen.use))
    return about


def deployed(spec: Spec, store: Store, job: Job, entry: Entry) -> tuple[Deployed, Splits]:
    """A teacher or student with its preprocessing, on the CPU and in eval mode, and the data that it was trained on.

    Raises:
        DataError: where the data that tells preprocessing cannot be read.
        CorruptEntry: where a file of the store is not what its manifest says.
    """
    runtime = replace(Runtimes.of(spec, store.location)(job), gpus=0)  # a network is taken away on the CPU
    splits = splits_of(entry.manifest["config"], runtime.place)
    network = Deployed(classifier_of(entry, Follower(runtime, store, job)), splits.mean, splits.std).eval()
    # torch.export warns of weights in any other layout
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network, splits


def _with(about: Description, cost: Cost, comparison: Comparison | None) -> Description:
    values = {name: getattr(about, name) for name in about.__struct_fields__}
    return Description(**{**values, "cost": cost, "comparison": comparison})


def _cost(student: Deployed, run: Run, chosen: Format, folder: Path, images_NCHW: Tensor) -> Cost:
    return Cost(
        parameters=sum(parameter.numel() for parameter in student.parameters()),
        multiplications=multiplications(student, images_NCHW[:1]),
        bytes=(folder / chosen.file).stat().st_size,
        latency_ms={str(size): 1000 * latency(run, _batch(images_NCHW, size)) for size in BATCHES},
        processor=processor(),
        threads=torch.get_num_threads(),
    )


def _batch(images_NCHW: Tensor, size: int) -> Tensor:
    return images_NCHW[torch.arange(size) % len(images_NCHW)]


def _tested(entry: Entry, places_N: Tensor) -> Tensor | None:
    if not PREDICTIONS.is_in(entry):
        return None
    return torch.tensor(PREDICTIONS.read(entry)["predicted"].to_pylist())[places_N]


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A folder beside, which takes the place of ``folder`` when all is in it; what is there already stays."""
    if folder.exists():
        raise OutputError(f"{folder} is there already; remove it, or name another with --out")
    beside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        try:
            beside.mkdir(parents=True)
        except OSError as error:
            raise OutputFailed(f"{folder} cannot be written: {error.strerror or error}") from None
        yield beside
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
