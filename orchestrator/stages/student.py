"""Train a student by a method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kd_core.bank.read import banks_of
from kd_core.bank.source import Live, Source
from kd_core.data.splits import Splits
from kd_core.knowledge import Need
from kd_core.methods.method import Method
from kd_core.methods.setting import Setting
from kd_core.methods.table import METHODS
from kd_core.models.network import Network, shape_of
from kd_core.random import derive
from kd_core.training.loop import Training
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.search.chosen import searched
from orchestrator.stages.analysis import analysed
from orchestrator.stages.fit import fit, prepared
from orchestrator.stages.networks import fresh, shape, splits_of, trained
from orchestrator.stages.runner import Context
from orchestrator.store.artifacts import BANK, FITTED, PROBES
from orchestrator.store.store import Store


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: teachers, and by need their probes, analyses, banks and the search of its knobs.

    Files: model.safetensors, history.arrow.
    """
    config, found = searched(job.config, job.parents, context.store)
    training = training_of(job, config, context)
    results = fit(job, context, training)
    return {**results, "searched": found} if found else results


def training_of(job: Job, config: dict[str, object], context: Context) -> Training:
    """The training that a config describes, with the teachers among the job's parents."""
    runtime, store = context.runtime, context.store
    splits = splits_of(config, runtime.place)
    network = fresh(config, job.kind)
    banked = any(role.startswith("banks:") for role in job.parents)
    method, networks = method_of(config, job.parents, network, splits, context, live=not banked)
    sources: list[Source]
    if banked:
        sources = list(banks_of(bank_files(job, store), runtime.device, splits.classes, runtime.gpus))
    else:
        sources = [Live(other, runtime.device, method.needs(method.config)) for other in networks]
    return prepared(job, context, config, network, method, sources)


def method_of(
    config: dict[str, Any],
    parents: Mapping[str, list[str]],
    network: Network,
    splits: Splits,
    context: Context,
    *,
    live: bool = False,
) -> tuple[Method, list[Network]]:
    """The method of a student's config and parents as its seed initialises it, and the networks of its teachers: where
    they are to answer ``live``, or where it needs their heads."""
    store, device = context.store, context.runtime.device
    teachers = [store.entry("teacher", key) for key in parents.get("teachers", [])]
    named = METHODS[config["method"]["name"]]
    knobs = from_plain(named.Config, config["method"]["knobs"])
    heads = Need.HEADS in named.needs(knobs)
    networks = [trained(entry) for entry in teachers] if live or heads else []
    setting = Setting(
        student=shape_of(network, splits.image),
        teachers=tuple(map(shape, teachers)),
        labels_N=splits.train.labels_N,
        probes=tuple(stage_accuracies(store, key) for key in parents.get("probes", [])),
        heads=tuple(other.head.to(device).requires_grad_(False) for other in networks) if heads else (),
        analysers=tuple(analysed(store, key).to(device) for key in parents.get("analyses", [])),
    )
    torch.manual_seed(derive(config["seed"], "student", "method"))
    return named(knobs, setting), networks


def stage_accuracies(store: Store, key: str) -> tuple[float, ...]:
    """Accuracy in [0, 1] of the probes at every stage where they are judged, shallow to deep; the embedding's is left out."""
    rows = PROBES.read(store.entry("probe", key)).to_pylist()
    stages = [row for row in rows if row["split"] != FITTED and row["layer"] != "embedding"]
    return tuple(row["accuracy"] for row in sorted(stages, key=lambda row: row["stage"]))


def bank_files(job: Job, store: Store) -> list[list[list[Path]]]:
    """For every teacher, for every kind of knowledge, the files of the bank's parts.

    In a job's parents the parts of a teacher stand together, in the order of their views, and the teachers in theirs.
    """
    kinds = [keys for role, keys in job.parents.items() if role.startswith("banks:")]
    count = len(job.parents["teachers"])

    def files(keys: list[str], teacher: int) -> list[Path]:
        parts = len(keys) // count
        return [store.entry("bank", key).file(BANK.name) for key in keys[teacher * parts : (teacher + 1) * parts]]

    return [[files(keys, teacher) for keys in kinds] for teacher in range(count)]
