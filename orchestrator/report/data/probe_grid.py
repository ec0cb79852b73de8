"""What the probes found: the accuracy of every teacher at every layer, and the teachers that students select by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from kd_core.knowledge import spatial_size
from kd_core.methods.selection import ProbeSelection, Rows, Sizes, matched_accuracy, selection
from kd_core.methods.table import METHODS
from orchestrator.experiment.space import applied
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import probes
from orchestrator.report.data.searches import chosen
from orchestrator.store import artifacts

EMBEDDING = "embedding"  # the layer after the last stage


@dataclass(frozen=True)
class Grid:
    """Accuracy in [0, 1] of (teacher, layer) where the probes are judged: stages by their number, then the embedding. A
    teacher may have fewer stages than another."""

    teachers: tuple[str, ...]
    layers: tuple[str, ...]  # shallow to deep
    accuracy: dict[tuple[str, str], float]
    judged_on: str = "validation"  # or "holdout"

    def leads(self, teacher: str, layer: str) -> bool:
        """Whether no teacher has a more accurate probe of a layer; of equal ones each leads."""
        of_layer = [accuracy for (_, each), accuracy in self.accuracy.items() if each == layer]
        return self.accuracy.get((teacher, layer)) == max(of_layer)


@dataclass(frozen=True)
class Selection:
    """The teachers that a student's stages listen to: π and the probe accuracies A behind it, both (teacher, stage)."""

    students: tuple[str, ...]  # models, and labels of methods, that select so
    methods: tuple[str, ...]
    teachers: tuple[str, ...]
    sizes: Sizes  # (H, W) of the student's stages
    accuracy_ML: Rows
    weight_ML: Rows


def grid(table: pa.Table) -> Grid:
    """The grid of a table of probes (:data:`orchestrator.report.data.results.PROBES`)."""
    rows = [row for row in table.to_pylist() if row["split"] != artifacts.FITTED]
    deep = sorted(rows, key=lambda row: (row["layer"] == EMBEDDING, row["stage"]))
    return Grid(
        teachers=tuple(dict.fromkeys(row["name"] for row in rows)),
        layers=tuple(dict.fromkeys(map(_layer, deep))),
        accuracy={(row["name"], _layer(row)): row["accuracy"] for row in rows},
        judged_on=rows[0]["split"] if rows else "validation",
    )


def _layer(row: dict[str, object]) -> str:
    """Architectures name their stages differently; what they share is the order."""
    return EMBEDDING if row["layer"] == EMBEDDING else f"stage{row['stage']}"


def selections(reading: Reading) -> list[Selection]:
    """How students select whose method has probes choose its teachers, as soon as teachers are probed, the student's sizes are
    known and a search of its knobs is done.

    A network's sizes are in the manifest of any job of the plan that trained its model.
    """
    plan, values = reading.plan, chosen(reading)
    by_probes = {job: how for job in plan.of("student") if "probes" in job.parents and (how := _selection(job, values))}
    if not by_probes:
        return []
    rows = [row for row in probes(reading).to_pylist() if row["split"] != artifacts.FITTED and row["layer"] != EMBEDDING]
    measured: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: row["stage"]):
        measured.setdefault(row["teacher"], []).append(row["accuracy"])
    sizes = dict(_sizes(reading))
    found: dict[tuple[Sizes, tuple[str, ...], ProbeSelection], list[Job]] = {}
    for job, how in by_probes.items():
        keys = tuple(job.parents["teachers"])
        if job.config["model"] in sizes and measured.keys() >= set(keys):
            found.setdefault((sizes[job.config["model"]], keys, how), []).append(job)
    rows = []
    for (stages, keys, how), jobs in found.items():
        others = tuple(sizes[plan.jobs[key].config["model"]] for key in keys)
        accuracy_ML = matched_accuracy(tuple(tuple(measured[key]) for key in keys), stages, others)
        rows.append(
            Selection(
                students=tuple(dict.fromkeys(job.config["model"] for job in jobs)),
                methods=tuple(dict.fromkeys(job.labels["method"] for job in jobs)),
                teachers=tuple(plan.jobs[key].title for key in keys),
                sizes=stages,
                accuracy_ML=accuracy_ML,
                weight_ML=selection(accuracy_ML, how.top, how.tau),
            )
        )
    return rows


def _selection(job: Job, values: Mapping[str, dict[str, object]]) -> ProbeSelection | None:
    """By the knobs that a student is trained with; None also while a search of them is not done."""
    if "searches" in job.parents and job.key not in values:
        return None
    method = applied(job.config, values.get(job.key, {}))["method"]
    kind = METHODS[method["name"]]
    return kind.selection(from_plain(kind.Config, method["knobs"]))


def _sizes(reading: Reading) -> Iterator[tuple[str, Sizes]]:
    """(H, W) of the stages of every model of which a network has been trained."""
    for job in [*reading.plan.of("teacher"), *reading.plan.of("student")]:
        if entry := reading.entry(job):
            yield job.config["model"], tuple(map(spatial_size, entry.results["shape"]["stages"]))
