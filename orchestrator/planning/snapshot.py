"""What a run looks like at a moment: made by the driver, shown by whoever watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.planning.schedule import Machine
from orchestrator.planning.state import State


@dataclass(frozen=True)
class Snapshot:
    """The states of all jobs of a plan; of those that run what they last said of themselves, and of those that failed why.

    A driver makes thousands of these, so ``states``, ``failed`` and ``turned`` are its own, which go on to change.
    """

    plan: Plan
    states: Mapping[str, State]
    progress: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what the user should read, since the run began: quarantined entries, retries
    failed: Mapping[str, str] = field(default_factory=dict)
    ready: int = 0  # jobs that wait for nothing but a worker
    machine: Machine | None = None  # what all workers share, where that is known
    counts: Mapping[State, int] | None = None  # how many jobs are in each state, where that was counted
    turned: Sequence[str] | None = None  # keys, one for each change of a state since the run began, where that is known

    def count(self, state: State) -> int:
        """How many jobs are in a state."""
        return (self._counted if self.counts is None else self.counts)[state]

    def turned_since(self, seen: int) -> Iterable[str]:
        """Keys of the jobs whose state may have changed since a snapshot that had so many :attr:`turned`."""
        return self.states if self.turned is None else dict.fromkeys(self.turned[seen:])

    @cached_property
    def running(self) -> tuple[Job, ...]:
        """The jobs at work; a driver's, in the order in which they began."""
        keys = self.states if self.turned is None else self.progress
        return tuple(self.plan.jobs[key] for key in keys if self.states[key] is State.RUNNING)

    @cached_property
    def waiting_like(self) -> tuple[Job, ...]:
        """Of the jobs that wait, one for each share of the machine that is asked for."""
        waiting = (job for job in self.plan if self.states[job.key] is State.WAITING)
        return tuple({(job.kind, job.divisible): job for job in waiting}.values())

    @cached_property
    def _counted(self) -> Counter[State]:
        return Counter(self.states.values())


Watch = Callable[[Snapshot], None]
Waits = Callable[[str], None]  # told what a run waits for while no job can be at work; of nothing any more, by no text
