"""Where the jobs of a plan stand while a run is at work, kept up to date by what happens.

A plan may have tens of thousands of jobs, and something happens many times a second: so an event costs what it changes. The
rule by which states follow is that of :func:`orchestrator.planning.state.decide`, which tests compare this with.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.plan import Plan
from orchestrator.planning.state import LOST, OPEN, Facts, State, decide, follows


class Board:
    """``done``: keys of the jobs that were done before. All states may be read at any time, from any thread, and only the
    methods change them."""

    def __init__(self, plan: Plan, done: Collection[str]) -> None:
        self.plan = plan
        self.done = set(done)
        self.failed: dict[str, str] = {}  # by key, why
        self.progress: dict[str, Mapping[str, Any]] = {}  # by key, what those that run last said
        self.turned: list[str] = []  # keys, one for each change of a state, in that order
        self.states: dict[str, State] = decide(plan, Facts(self.done))
        self.counts = Counter(self.states.values())
        self._below: defaultdict[str, list[str]] = defaultdict(list)
        self._waits: dict[str, int] = {}  # how many jobs above are not done
        self._wanted: Counter[str] = Counter()  # how many open jobs below need it
        self._lost: Counter[str] = Counter()  # how many jobs above failed or are blocked
        for job in plan:
            above = set(job.ancestors)
            self._waits[job.key] = sum(key not in self.done for key in above)
            for key in above:
                self._below[key].append(job.key)
                self._wanted[key] += self.states[job.key] in OPEN
        self._ready = [job.key for job in plan if self.states[job.key] in OPEN and not self._waits[job.key]]

    def take_ready(self) -> list[Job]:
        """The jobs that wait for no other since the last call."""
        found, self._ready = self._ready, []
        return [self.plan.jobs[key] for key in found if self.states[key] in OPEN]

    def begin(self, key: str, progress: Mapping[str, Any]) -> None:
        """The job is at work, and says so much of itself."""
        self.progress[key] = progress
        self._settle(key)

    def again(self, key: str) -> None:
        """The job is at work no more and left no result: it is ready once more."""
        self.progress.pop(key, None)
        self._settle(key)
        self._ready.append(key)

    def finish(self, key: str) -> None:
        """The job is done."""
        if key in self.done:
            return
        self.progress.pop(key, None)
        self.done.add(key)
        self._settle(key)
        for below in self._below[key]:
            self._waits[below] -= 1
            if not self._waits[below] and self.states[below] in OPEN:
                self._ready.append(below)

    def fail(self, key: str, reason: str) -> None:
        """The job failed, and is not tried again."""
        self.progress.pop(key, None)
        self.failed[key] = reason
        self._settle(key)

    def _settle(self, key: str) -> None:
        """Give a job the state that follows now, and all jobs to which that makes a difference theirs."""
        needed = KINDS[self.plan.jobs[key].kind].target or self._wanted[key] > 0
        before, now = (
            self.states[key],
            follows(
                done=key in self.done,
                needed=needed,
                running=key in self.progress,
                failed=key in self.failed,
                lost=self._lost[key] > 0,
            ),
        )
        if before is now:
            return
        self.states[key] = now
        self.turned.append(key)
        self.counts[before] -= 1
        self.counts[now] += 1
        if (before in LOST) != (now in LOST):
            for below in self._below[key]:
                self._lost[below] += 1 if now in LOST else -1
                self._settle(below)
        if (before in OPEN) != (now in OPEN):
            for above in set(self.plan.jobs[key].ancestors):
                self._wanted[above] += 1 if now in OPEN else -1
                self._settle(above)
