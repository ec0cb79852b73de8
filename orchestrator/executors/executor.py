"""The interface of an executor: jobs go in as they become ready, endings come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.jobs.job import Job
from orchestrator.planning.schedule import Machine

LOOK_AGAIN_S = 2.0  # between two looks at a job that another run does


class CannotRun(ValueError):
    """The resources that the spec asks for are not there, or the cluster cannot be reached."""


class ClusterLost(RuntimeError):
    """The cluster went away under a run, and did not come back."""


Heard = Callable[[str, Mapping[str, Any]], None]  # told the key of a job at work, and what it says of itself


@dataclass(frozen=True)
class Ended:
    """A job came to an end: its entry is in the store, or ``failure`` says why not, or it was left to the worker outside this
    run that does it (``elsewhere``, in words). ``computed``: whether the entry had to be made; ``restarted``: whether a worker
    died over it, and another went on."""

    job: Job
    failure: str | None = None
    elsewhere: str = ""
    computed: bool = True
    restarted: bool = False


class Executor(Protocol):
    """Runs :func:`orchestrator.stages.runner.run_job` somewhere."""

    @property
    def machine(self) -> Machine | None:
        """What its workers share; None where that is not known yet."""

    def submit(self, job: Job, priority: float) -> None:
        """Take a job whose ancestors are done; what is of higher priority goes first.

        Raises:
            CannotRun: where there is too little for it.
        """

    def poll(self, timeout: float) -> list[Ended]:
        """Jobs that have ended since the last call; waits for one, ``timeout`` seconds at most.

        Raises:
            ClusterLost: where there is nothing any more that could run them.
        """

    def drain(self) -> list[Job]:
        """Begin nothing more; the jobs that are at work."""

    def close(self) -> None:
        """Let go of every worker, whatever they do; checkpoints stay in the store."""
