"""Fill a knowledge bank, or a part of one: one kind of knowledge of one teacher about every training image under every view, or
under some."""

from __future__ import annotations

from typing import Any

import safetensors.torch

from kd_core.bank.fill import fill
from kd_core.bank.storage import Storage
from kd_core.knowledge import Need
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.stages.networks import splits_of, trained
from orchestrator.stages.runner import Context
from orchestrator.store.artifacts import BANK


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: the teacher. Files: bank.safetensors, tensors (V, N, …) as :mod:`kd_core.bank.rows` packs them."""
    [key] = job.parents["teachers"]
    entry = context.store.entry("teacher", key)
    splits = splits_of(entry.manifest["config"], context.runtime.place)
    storage = from_plain(Storage, job.config["storage"])
    views = range(*job.config["views"]) if "views" in job.config else None
    kept = fill(trained(entry), splits, Need(job.config["need"]), context.runtime.device, storage, views)
    safetensors.torch.save_file(kept, context.attempt.path / BANK.name)
    count, images = next(iter(kept.values())).shape[:2]
    return {"views": count, "images": images, "bytes": sum(value.nbytes for value in kept.values())}
