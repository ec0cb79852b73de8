"""Where every job of a plan stands. It is decided here and nowhere else: the driver, ``kd status``, the report and MLflow's
mirror all ask this module.

What is known of a job is a :class:`Standing`: what the store holds of it, read once, and the state that follows. A driver at
work knows some things better than the store (what it has seen end, which attempt is a new one), and says so by
:class:`Facts`; the rule by which states follow is the same.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kd_core.training.checkpoint_files import CheckpointFiles, epoch_of, newest_first
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.planning.presence import at_work_since
from orchestrator.store.backends.backend import Holder
from orchestrator.store.entry import Entry
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store


class State(enum.StrEnum):
    """Where a job stands."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "waiting"  # for ancestors or for resources
    FAILED = "failed"
    BLOCKED = "blocked"  # an ancestor failed
    IDLE = "idle"  # an intermediate result that nothing missing needs


LOST = frozenset({State.FAILED, State.BLOCKED})
OPEN = frozenset(State) - {State.DONE, State.IDLE}


@dataclass(frozen=True)
class Evidence:
    """What the store holds of a job; what it holds besides the entry of a job that is done is not looked for."""

    entry: Entry | None = None
    corrupt: str = ""  # which entry, and what is wrong with it
    progress: Mapping[str, Any] = field(default_factory=dict)  # what it last said of itself
    failure: Mapping[str, Any] = field(default_factory=dict)  # why it failed the last time
    checkpointed: int = 0  # epochs that its newest checkpoint holds
    worker: Holder | None = None  # the living process that does it

    @classmethod
    def of(cls, job: Job, store: Store) -> Evidence:
        """Look at a job. Files are not read, only their sizes are compared."""
        corrupt = ""
        try:
            if entry := store.find(job.kind, job.key):
                return cls(entry)
        except CorruptEntry as error:
            corrupt = str(error)
        progress, failure = store.progress(job), store.failure(job)
        return cls(None, corrupt, progress, failure, checkpointed(store.work(job)), store.worker(job) if progress else None)


@dataclass(frozen=True)
class Facts:
    """Keys of the jobs that are done, that run, and that failed and are not tried again."""

    done: Collection[str] = ()
    running: Collection[str] = ()
    failed: Collection[str] = ()


@dataclass(frozen=True)
class Standing:
    """A job, its state, and what that follows from."""

    job: Job
    state: State
    evidence: Evidence
    lost: tuple[Job, ...] = ()  # its ancestors that failed or are blocked

    @property
    def entry(self) -> Entry | None:
        return self.evidence.entry


def decide(plan: Plan, facts: Facts) -> dict[str, State]:
    """The state of every job by key, in the order of the plan."""
    needed = {job.key for job in plan.needed(facts.done)}
    found: dict[str, State] = {}
    for job in plan:
        found[job.key] = follows(
            done=job.key in facts.done,
            needed=job.key in needed,
            running=job.key in facts.running,
            failed=job.key in facts.failed,
            lost=any(found[above] in LOST for above in job.ancestors),
        )
    return found


def follows(*, done: bool, needed: bool, running: bool, failed: bool, lost: bool) -> State:
    """The state of a job. ``needed``: it is wanted for its own sake, or an open job below needs it; ``lost``: a job above it
    failed or is blocked."""
    if done:
        return State.DONE
    if not needed:
        return State.IDLE
    if running:
        return State.RUNNING
    if failed:
        return State.FAILED
    return State.BLOCKED if lost else State.WAITING


def standings(plan: Plan, store: Store) -> dict[str, Standing]:
    """The standing of each job by key, in the order of the plan, derived from the store alone: each entry is read once.

    Running is what a living process works on, of this run or of another one on the store; what failed before those began that
    are at work now is tried again.
    """
    jobs = list(plan)
    evidence = dict(zip((job.key for job in jobs), gather_evidence(jobs, store), strict=True))
    states = decide(plan, _facts(evidence, at_work_since(plan.name, store)))
    return {job.key: Standing(job, states[job.key], evidence[job.key], _lost(job, plan, states)) for job in jobs}


def gather_evidence(jobs: Iterable[Job], store: Store) -> Iterator[Evidence]:
    """The evidence of each job, many at once where the store is far away."""
    return store.each(lambda job: Evidence.of(job, store), jobs)


def _facts(evidence: Mapping[str, Evidence], since: float | None) -> Facts:
    """What the store alone tells; ``since`` is when the first of those began that are at work."""

    def failed(found: Evidence) -> bool:
        return bool(found.failure) and (since is None or found.failure["time"] >= since)

    return Facts(
        done={key for key, found in evidence.items() if found.entry},
        running={key for key, found in evidence.items() if found.worker},
        failed={key for key, found in evidence.items() if failed(found)},
    )


def _lost(job: Job, plan: Plan, states: Mapping[str, State]) -> tuple[Job, ...]:
    if states[job.key] != State.BLOCKED:
        return ()
    return tuple(plan.jobs[above] for above in job.ancestors if states[above] in (State.FAILED, State.BLOCKED))


def checkpointed(work: CheckpointFiles) -> int:
    """Epochs that a job's newest checkpoint holds, by its name; 0 where there is none."""
    return next(map(epoch_of, newest_first(work)), 0)
