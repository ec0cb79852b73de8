"""The kinds of jobs, and all that is particular to each of them. Reading this table imports no torch.

To add a kind: an entry here, a file in ``orchestrator/stages`` whose ``run(job, context)`` does the job, and a line in
:mod:`orchestrator.planning.plan` where jobs of it are wanted. Everything else (scheduling, shares, estimates, views, MLflow)
goes by what the entry says.
"""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

Stage = Callable[[Any, Any], dict[str, Any]]  # (job, context) to the results that its manifest holds


class Work(enum.StrEnum):
    """What a job does with its network, which decides how much arithmetic it is."""

    TRAIN = "train"  # forwards and backwards, every epoch
    ASK = "ask"  # forwards
    ASK_EVERY_VIEW = "ask every view"  # forwards, of every augmented view of every image


class AllocationOf(enum.StrEnum):
    """The section of ``resources`` that says what a job may use."""

    TEACHER = "teacher"
    STUDENT = "student"


class Unit(enum.StrEnum):
    """What the progress of a job is counted in."""

    EPOCHS = "epochs"
    TRIALS = "trials"


@dataclass(frozen=True)
class Kind:
    """Args:
    version: part of every key of the kind: raise it when a change of code changes results.
    module: where its ``run`` stands.
    plural: what a list of them is called.
    work: what it does with its network.
    share: whose part of the machine it gets.
    target: whether it is wanted for its own sake; others are made, and their files verified, only where something that is
        still missing needs them.
    planned: whether a plan holds jobs of it; trials are made by a search as it goes.
    dispatched: whether the dispatcher hands it out, beside the trials of searches; others wait for a worker of their own.
    divisible: whether several workers can share its training, each with a part of every batch.
    network: whether it leaves a network that others are about.
    unit: what its progress is counted in.
    measured_as: kinds whose measured durations tell its own, the likeliest first; empty: its own alone.
    tracked: whether it is a run in MLflow.
    attached: artifacts of its entry that its MLflow run holds as they are, by their names in
        :data:`orchestrator.store.artifacts.ARTIFACTS`.
    tabulated: tables of its entry that its MLflow run holds, as Arrow and as CSV.
    metrics: prefix of its results' names in MLflow.
    about_student: whether the model among its labels is a student's.
    """

    version: int
    module: str
    plural: str
    work: Work = Work.ASK
    allocation: AllocationOf = AllocationOf.TEACHER
    target: bool = True
    planned: bool = True
    dispatched: bool = False
    divisible: bool = False
    network: bool = False
    unit: Unit = Unit.EPOCHS
    measured_as: tuple[str, ...] = ()
    tracked: bool = True
    attached: tuple[str, ...] = ()
    tabulated: tuple[str, ...] = ()
    metrics: str = ""
    about_student: bool = False

    def run(self, job: object, context: object) -> dict[str, Any]:
        """Do a job where it is; its results. What the stage raises is not caught."""
        return cast(Stage, importlib.import_module(self.module).run)(job, context)

    @property
    def of_trials(self) -> bool:
        """Whether it consists of trials, which run as jobs of their own."""
        return self.unit is Unit.TRIALS


KINDS: dict[str, Kind] = {
    "teacher": Kind(1, "orchestrator.stages.teacher", "Teachers", Work.TRAIN, divisible=True, network=True),
    "probe": Kind(1, "orchestrator.stages.probe", "Probes", tabulated=("probes",), metrics="accuracy/"),
    "analysis": Kind(1, "orchestrator.stages.analysis", "Analyses"),
    "bank": Kind(2, "orchestrator.stages.bank", "Knowledge banks", Work.ASK_EVERY_VIEW, target=False, tracked=False),
    "search": Kind(
        1,
        "orchestrator.stages.search",
        "Searches",
        Work.TRAIN,
        AllocationOf.STUDENT,
        dispatched=True,
        unit=Unit.TRIALS,
        about_student=True,
    ),
    "trial": Kind(
        1,
        "orchestrator.stages.trial",
        "Trials",
        Work.TRAIN,
        AllocationOf.STUDENT,
        target=False,
        planned=False,
        measured_as=("trial", "student"),
        about_student=True,
    ),
    "student": Kind(
        1,
        "orchestrator.stages.student",
        "Students",
        Work.TRAIN,
        AllocationOf.STUDENT,
        dispatched=True,
        network=True,
        attached=("model",),
        about_student=True,
    ),
    "evaluation": Kind(1, "orchestrator.stages.evaluation", "Evaluations", metrics="evaluation/", about_student=True),
}
