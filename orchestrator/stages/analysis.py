"""Train the analyser of a teacher, once for all students that learn from what it finds."""

from __future__ import annotations

from typing import Any

import torch

from kd_core.analysis.training import Analysing
from kd_core.bank.source import Live
from kd_core.methods.modules.analyser import Analyser
from kd_core.methods.modules.analysis_config import AnalysisConfig
from kd_core.random import derive
from kd_core.training.checkpoint import Checkpoints
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.stages.fit import history_table, teller
from orchestrator.stages.networks import shape, splits_of, trained
from orchestrator.stages.runner import Context
from orchestrator.store.artifacts import ANALYSER, HISTORY
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: the teacher. Files: analyser.safetensors, the weights that its recipe keeps, and history.arrow."""
    runtime = context.runtime
    [key] = job.parents["teachers"]
    entry = context.store.entry("teacher", key)
    config = entry.manifest["config"]
    splits = splits_of(config, runtime.place)
    torch.manual_seed(derive(config["seed"], job.kind, "init"))
    analyser = fresh(job.config, entry)
    training = Analysing(
        analyser, Live(trained(entry), runtime.device), splits, seed=derive(config["seed"], job.kind), device=runtime.device
    )
    history = training.run(Checkpoints(context.work), teller(job, context))
    ANALYSER.write(analyser.state_dict(), context.attempt.path)
    HISTORY.write(history_table(history), context.attempt.path)
    kept = training.kept()
    accuracies = {name.replace("/", "_"): value for name, value in kept.items() if name.startswith("validation/accuracy")}
    return {
        **accuracies,
        "epochs": len(history),
        "parameters": sum(parameter.numel() for parameter in analyser.parameters()),
        "device": runtime.device,
        "seconds": sum(record.seconds for record in history),
    }


def analysed(store: Store, key: str) -> Analyser:
    """The frozen analyser of an entry.

    Raises:
        CorruptEntry: where its file is not what the manifest says.
    """
    entry = store.entry("analysis", key)
    [teacher] = entry.manifest["parents"]["teachers"]
    analyser = fresh(entry.manifest["config"], store.entry("teacher", teacher))
    analyser.load_state_dict(ANALYSER.read(entry))
    return analyser.requires_grad_(False).eval()


def fresh(config: dict[str, Any], teacher: Entry) -> Analyser:
    """An analyser for a teacher's entry, as torch's global generator initialises it."""
    sizes = shape(teacher)
    return Analyser(from_plain(AnalysisConfig, config["recipe"]), sizes.embedding, sizes.classes)
