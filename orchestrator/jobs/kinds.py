"""The stages of an experiment. Reading this table imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """``version`` is part of every key of the stage: raise it when a change of code changes results.

    A target is wanted for its own sake; the others are made only where something that is still missing needs them. Trials are
    no part of a plan: a search makes them as it goes.
    """

    version: int
    module: str
    target: bool = True

    def function(self) -> Callable:
        """``run(job, place, attempt) -> results`` of the stage's module."""
        return importlib.import_module(self.module).run


STAGES: dict[str, Stage] = {
    "teacher": Stage(version=1, module="orchestrator.stages.teacher"),
    "probe": Stage(version=1, module="orchestrator.stages.probe"),
    "analysis": Stage(version=1, module="orchestrator.stages.analysis"),
    "bank": Stage(version=1, module="orchestrator.stages.bank", target=False),
    "search": Stage(version=1, module="orchestrator.stages.search"),
    "trial": Stage(version=1, module="orchestrator.stages.trial", target=False),
    "student": Stage(version=1, module="orchestrator.stages.student"),
    "evaluation": Stage(version=1, module="orchestrator.stages.evaluation"),
}
