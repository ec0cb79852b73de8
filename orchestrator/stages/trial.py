"""Train a student for a search. The test split is not read; weights are kept only where a population goes on with them."""

from __future__ import annotations

from typing import Any

import safetensors.torch

from kd_core.training.checkpoint import Checkpoint, Checkpoints, read_history
from kd_core.training.checkpoint_files import Folder
from orchestrator.jobs.job import Job
from orchestrator.stages.fit import history_table, teller, validated
from orchestrator.stages.runner import Context
from orchestrator.stages.student import training_of
from orchestrator.store.artifacts import HISTORY, STATE


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: those of its search and, in a population, the trial that it ``continues``. Files: history.arrow."""
    training = training_of(job, job.config, context)
    begin, until = job.config.get("generation", (0, training.recipe.epochs))
    checkpoints = Checkpoints(context.work)
    if "continues" in job.parents and not checkpoints.newest():
        [key] = job.parents["continues"]
        training.restore(_state(context, key))
    result = training.run(checkpoints, teller(job, context), until=until)
    HISTORY.write(history_table(result.history), context.attempt.path)
    if until < training.recipe.epochs:
        (context.attempt.path / STATE.name).write_bytes(training.checkpoint().content())
    chosen = result.history[result.chosen_epoch - 1]
    return {
        **validated(chosen, result.history[-1]),
        "chosen_epoch": result.chosen_epoch,
        "epochs": len(result.history),
        "device": context.runtime.device,
        "seconds": sum(record.seconds for record in result.history[begin:]),
    }


def _state(context: Context, key: str) -> Checkpoint:
    entry = context.store.entry("trial", key)
    path = STATE.path(entry)
    return Checkpoint(safetensors.torch.load_file(path), read_history(Folder(path.parent), path.name))
