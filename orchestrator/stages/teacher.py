"""Train a teacher with the labels alone."""

from __future__ import annotations

from typing import Any

from kd_core.knobs import Knobs
from kd_core.knowledge import Setting
from kd_core.methods.none import Plain
from kd_core.models.network import shape_of
from orchestrator.job import Job
from orchestrator.stages.fit import fit
from orchestrator.stages.networks import fresh, splits_of
from orchestrator.stages.runner import Context


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: none. Files: model.safetensors, history.arrow."""
    splits = splits_of(job.config, context.place.data_root, context.place.download, context.place.data_memory_gib)
    network = fresh(job.config, job.kind)
    setting = Setting(shape_of(network, splits.image), (), splits.train.labels_N)
    return fit(job, context, network, Plain(Knobs(), setting), ())
