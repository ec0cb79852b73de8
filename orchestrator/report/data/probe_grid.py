"""What the probes found: the accuracy of every teacher at every layer, and the teachers that students select by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kd_core.methods.gpac import GPAC
from kd_core.methods.selection import Rows, Sizes, matched_accuracy, selection
from orchestrator.jobs.canonical import revive
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.report.data.results import probes, standing
from orchestrator.search.chosen import settled
from orchestrator.store.store import Store

EMBEDDING = "embedding"  # the layer after the last stage


@dataclass(frozen=True)
class Grid:
    """Validation accuracy in [0, 1] of (teacher, layer): stages by their number, then the embedding. A teacher may have fewer
    stages than another."""

    teachers: tuple[str, ...]
    layers: tuple[str, ...]  # shallow to deep
    accuracy: dict[tuple[str, str], float]

    def best(self, layer: str) -> str:
        """The teacher with the most accurate probe of a layer; of equal ones the earlier."""
        return max(
            (name for name in self.teachers if (name, layer) in self.accuracy), key=lambda name: self.accuracy[name, layer]
        )


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
    rows = [row for row in table.to_pylist() if row["split"] == "validation"]
    deep = sorted(rows, key=lambda row: (row["layer"] == EMBEDDING, row["stage"]))
    return Grid(
        teachers=tuple(dict.fromkeys(row["name"] for row in rows)),
        layers=tuple(dict.fromkeys(map(_layer, deep))),
        accuracy={(row["name"], _layer(row)): row["accuracy"] for row in rows},
    )


def _layer(row: dict[str, Any]) -> str:
    """Architectures name their stages differently; what they share is the order."""
    return EMBEDDING if row["layer"] == EMBEDDING else f"stage{row['stage']}"


def selections(plan: Plan, store: Store) -> list[Selection]:
    """How GPAC's students, also those of MGD over it, select, as soon as teachers are probed, the student's sizes are known and
    a search of its knobs is done.

    A network's sizes are in the manifest of any job of the plan that trained its model.
    """
    chosen = {job: config for job in plan.of("student") if "probes" in job.parents and (config := _gpac(job, store))}
    if not chosen:
        return []
    rows = [row for row in probes(plan, store).to_pylist() if row["split"] == "validation" and row["layer"] != EMBEDDING]
    measured: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: row["stage"]):
        measured.setdefault(row["teacher"], []).append(row["accuracy"])
    sizes = dict(_sizes(plan, store))
    found: dict[tuple[Any, ...], list[Job]] = {}
    for job, config in chosen.items():
        keys = tuple(job.parents["teachers"])
        if job.config["model"] in sizes and measured.keys() >= set(keys):
            found.setdefault((sizes[job.config["model"]], keys, config.top, config.tau_probe), []).append(job)
    told = []
    for (stages, keys, top, tau), jobs in found.items():
        others = tuple(sizes[plan.jobs[key].config["model"]] for key in keys)
        accuracy_ML = matched_accuracy(tuple(tuple(measured[key]) for key in keys), stages, others)
        told.append(
            Selection(
                students=tuple(dict.fromkeys(job.config["model"] for job in jobs)),
                methods=tuple(dict.fromkeys(job.labels["method"] for job in jobs)),
                teachers=tuple(plan.jobs[key].title for key in keys),
                sizes=stages,
                accuracy_ML=accuracy_ML,
                weight_ML=selection(accuracy_ML, top, tau),
            )
        )
    return told


def _gpac(job: Job, store: Store) -> GPAC.Config | None:
    """GPAC's config as a student is trained with it, where it is its method or the base of it."""
    found = settled(job, store)
    if found is None:
        return None
    method = found[0]["method"]
    name, knobs = method["name"], method["knobs"]
    if knobs.get("base") == "gpac":
        name, knobs = "gpac", knobs["knobs"]
    return revive(GPAC.Config, knobs) if name == "gpac" else None


def _sizes(plan: Plan, store: Store) -> Iterator[tuple[str, Sizes]]:
    """(H, W) of the stages of every model of which a network has been trained."""
    for job in [*plan.of("teacher"), *plan.of("student")]:
        if entry := standing(plan, store, job).entry:
            yield job.config["model"], tuple((height, width) for _, height, width in entry.results["shape"]["stages"])
