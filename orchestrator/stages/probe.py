"""Fit linear classifier probes to every layer of a teacher."""

from __future__ import annotations

from typing import Any

from kd_core.probes.config import ProbeConfig
from kd_core.probes.probe import probe, table
from orchestrator.jobs.canonical import revive
from orchestrator.jobs.job import Job
from orchestrator.stages.networks import splits_of, trained
from orchestrator.stages.runner import Context
from orchestrator.store.arrow import write_table

PROBES = "probes.arrow"


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: the teacher. Files: probes.arrow, a row per (layer, split)."""
    [key] = job.parents["teachers"]
    entry = context.store.entry("teacher", key)
    config = entry.manifest["config"]
    splits = splits_of(config, context.runtime.data_root, context.runtime.download, context.runtime.data_memory_gib)
    rows = probe(trained(entry), splits, revive(ProbeConfig, job.config["probe"]), context.runtime.device)
    write_table(table(rows, teacher=key, model=config["model"], seed=config["seed"]), context.attempt.path / PROBES)
    return {row.layer: row.accuracy for row in rows if row.split == "validation"}
