"""Train a student for a search. The test split is not read; weights are kept only where a population goes on with them."""

from __future__ import annotations

from typing import Any

import safetensors.torch

from kd_core.training.checkpoint import Checkpoint, Checkpoints, read_history
from kd_core.training.checkpoint_files import Folder
from orchestrator.jobs.job import Job
from orchestrator.stages.fit import HISTORY, history_table, teller
from orchestrator.stages.runner import Context
from orchestrator.stages.student import training_of
from orchestrator.store.arrow import write_table
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.files import sha256

STATE = "state.safetensors"  # at the end of a generation


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: those of its search and, in a population, the trial that it ``continues``. Files: history.arrow."""
    training = training_of(job, job.config, context)
    begin, until = job.config.get("generation", (0, training.recipe.epochs))
    checkpoints = Checkpoints(context.work)
    if "continues" in job.parents and not checkpoints.newest():
        [key] = job.parents["continues"]
        training.restore(_state(context, key))
    result = training.run(checkpoints, teller(job, context), until=until)
    write_table(history_table(result.history), context.attempt.path / HISTORY)
    if until < training.recipe.epochs:
        (context.attempt.path / STATE).write_bytes(training.checkpoint().content())
    chosen = result.history[result.chosen_epoch - 1]
    return {
        "validation_accuracy": chosen.metrics["validation/accuracy"],
        "validation_accuracy_last": result.history[-1].metrics["validation/accuracy"],
        "chosen_epoch": result.chosen_epoch,
        "epochs": len(result.history),
        "device": context.runtime.device,
        "seconds": sum(record.seconds for record in result.history[begin:]),
    }


def _state(context: Context, key: str) -> Checkpoint:
    entry = context.store.entry("trial", key)
    path = entry.file(STATE)
    if sha256(path) != entry.manifest["files"][STATE]["sha256"]:
        raise CorruptEntry(f"trial/{key}: {STATE} does not have its SHA-256")
    return Checkpoint(safetensors.torch.load_file(path), read_history(Folder(path.parent), path.name))
