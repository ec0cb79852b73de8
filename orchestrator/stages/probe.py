"""Fit linear classifier probes to every layer of a teacher."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from kd_core.probes.config import ProbeConfig
from kd_core.probes.probe import Row, probe
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.stages.networks import splits_of, trained
from orchestrator.stages.runner import Context
from orchestrator.store.artifacts import FITTED, PROBES


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: the teacher. Files: probes.arrow, a row per (layer, split)."""
    [key] = job.parents["teachers"]
    entry = context.store.entry("teacher", key)
    config = entry.manifest["config"]
    splits = splits_of(config, context.runtime.place)
    asked = from_plain(ProbeConfig, job.config["probe"])
    rows = probe(trained(entry), splits, asked, context.runtime.device, config["data"]["split_seed"])
    PROBES.write(probe_table(rows, teacher=key, model=config["model"], seed=config["seed"]), context.attempt.path)
    return {row.layer: row.accuracy for row in rows if row.split != FITTED}


def probe_table(rows: Iterable[Row], *, teacher: str, model: str, seed: int) -> pa.Table:
    """The probes of one teacher (its key) as :data:`orchestrator.store.artifacts.PROBES` has them."""
    whose = {"teacher": teacher, "model": model, "seed": seed}
    return pa.Table.from_pylist([whose | asdict(row) for row in rows], schema=PROBES.schema)
