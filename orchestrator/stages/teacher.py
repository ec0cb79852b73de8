"""Train a teacher with the labels alone, or take one as it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from kd_core.data.batches import plain_batches
from kd_core.data.splits import Splits
from kd_core.distributed import Group
from kd_core.knobs import Knobs
from kd_core.methods.none import Plain
from kd_core.methods.setting import Setting
from kd_core.models.network import Network, shape_of
from kd_core.models.weights import fill, published, read
from kd_core.training.evaluate import evaluate, scores
from orchestrator.jobs.job import Job
from orchestrator.stages.fit import described, fit, predictions_table, prepared, tested
from orchestrator.stages.networks import fresh, splits_of
from orchestrator.stages.runner import Context
from orchestrator.store.artifacts import MODEL, PREDICTIONS
from orchestrator.store.files import sha256


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: none. Files: model.safetensors and, where it was trained, history.arrow. A group may share the training."""
    splits = splits_of(job.config, context.runtime.place)
    network = fresh(job.config, job.kind)
    if "weights" in job.config:
        return take(job, context, network, splits)
    setting = Setting(shape_of(network, splits.image), (), splits.train.labels_N)
    return fit(job, context, prepared(job, context, job.config, network, Plain(Knobs(), setting), (), Group.here()))


def take(job: Job, context: Context, network: Network, splits: Splits) -> dict[str, Any]:
    """Leave a teacher with its given weights in the attempt, and say how good it is.

    Raises:
        ValueError: where the weights are not those of the plan, or do not fit.
        OSError: where a file cannot be read or downloaded.
    """
    device = context.runtime.device
    fill(network, _given(job.config["model"], job.config["weights"], context.runtime.weights))
    network.on(device).eval()
    found = scores(network, plain_batches(splits, "test", device))
    MODEL.write(network.state_dict(), context.attempt.path)
    PREDICTIONS.write(predictions_table(found, splits), context.attempt.path)
    validated = {}
    if len(splits.validation):
        validated["validation_accuracy"], _ = evaluate(network, plain_batches(splits, "validation", device))
    return {
        **validated,
        **tested(found),
        **described(network, splits),
        "device": device,
    }


def _given(model: str, weights: dict[str, str], file: Path | None) -> dict[str, Tensor]:
    if "name" in weights:
        return published(model, weights["name"])
    assert file is not None
    if sha256(file) != weights["sha256"]:
        raise ValueError(f"{file} has changed since the experiment was read; run it again")
    return read(file)
