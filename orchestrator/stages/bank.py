"""Fill a knowledge bank: one kind of knowledge of one teacher about every view of every training image."""

from __future__ import annotations

from typing import Any

import safetensors.torch

from kd_core.bank import fill
from kd_core.knowledge import Need
from orchestrator.jobs.job import Job
from orchestrator.stages.networks import splits_of, trained
from orchestrator.stages.runner import Context
from orchestrator.store.artifacts import BANK


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: the teacher. Files: bank.safetensors, tensors (V, N, …)."""
    [key] = job.parents["teachers"]
    entry = context.store.entry("teacher", key)
    splits = splits_of(
        entry.manifest["config"], context.runtime.data_root, context.runtime.download, context.runtime.data_memory_gib
    )
    kept = fill(trained(entry), splits, Need(job.config["need"]), context.runtime.device)
    safetensors.torch.save_file(kept, context.attempt.path / BANK.name)
    views, images = next(iter(kept.values())).shape[:2]
    return {"views": views, "images": images, "bytes": sum(value.nbytes for value in kept.values())}
