"""Ask a finished student what its accuracy does not tell."""

from __future__ import annotations

from typing import Any

import torch

from kd_core.data.splits import Splits
from kd_core.deploy import Classifier
from kd_core.evaluation.evaluation import Subject
from kd_core.evaluation.table import EVALUATIONS
from kd_core.recipe import Recipe
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.search.chosen import searched
from orchestrator.stages.networks import splits_of, trained
from orchestrator.stages.runner import Context
from orchestrator.stages.student import method_of
from orchestrator.store.artifacts import METHOD
from orchestrator.store.entry import Entry


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: the student. No files: the numbers are the results."""
    [key] = job.parents["students"]
    entry = context.store.entry("student", key)
    asked = EVALUATIONS[job.config["evaluation"]]
    config = from_plain(asked.Config, job.config["knobs"])
    return dict(asked.run(subject_of(entry, context), _splits(entry, job.config["knobs"].get("data"), context), config))


def subject_of(entry: Entry, context: Context) -> Subject:
    """A student as it was tested: the weights of its chosen epoch, its precision, and its method where that makes the logits.

    Raises:
        CorruptEntry: where a file is not what the manifest says.
    """
    device, parents = context.runtime.device, entry.manifest["parents"]
    config, _ = searched(entry.manifest["config"], parents, context.store)
    classifier = classifier_of(entry, context)
    half = from_plain(Recipe, config["recipe"]).precision == "bf16"
    predict = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half)(classifier)
    return Subject(classifier.network, predict, device)


def classifier_of(entry: Entry, context: Context) -> Classifier:
    """A student with its chosen weights, in eval mode, and its method where that makes the logits.

    Raises:
        CorruptEntry: where a file is not what the manifest says.
    """
    device, parents = context.runtime.device, entry.manifest["parents"]
    network, method = trained(entry).on(device), None
    if METHOD.is_in(entry):
        config, _ = searched(entry.manifest["config"], parents, context.store)
        method, _ = method_of(config, parents, network, _splits(entry, None, context), context)
        method.own.load_state_dict(METHOD.read(entry))
        method.own.to(device)
    return Classifier(network, method).eval()


def _splits(entry: Entry, other: dict[str, object] | None, context: Context) -> Splits:
    """The data that the student was trained on, or another."""
    runtime = context.runtime
    config = entry.manifest["config"] if other is None else {"data": other}
    return splits_of(config, runtime.place)
