"""Where every job of a plan stands, derived from the store alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kd_core.training.checkpoint_files import CheckpointFiles, epoch_of, newest_first
from orchestrator.jobs.job import Job
from orchestrator.planning.explain import Neighbours
from orchestrator.planning.plan import Plan
from orchestrator.planning.snapshot import State
from orchestrator.store.backends.backend import Holder
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store


@dataclass(frozen=True)
class Status:
    """A job's state, why it is that in a few words (empty where there is no more to say), and what it last said of itself."""

    state: State
    reason: str = ""
    progress: dict[str, Any] = field(default_factory=dict)


def driver(plan: Plan, store: Store) -> Holder | None:
    """The living `kd run` of this experiment; None where none lives."""
    return store.holder(f"run-{plan.name}")


def driver_since(plan: Plan, store: Store) -> float | None:
    """When the living `kd run` of this experiment began, Unix time; None where none lives."""
    return store.locked_since(f"run-{plan.name}")


def statuses(plan: Plan, store: Store) -> dict[str, Status]:
    """The status of each job by key; files are not read, only their sizes are compared.

    Running is what a living driver of this experiment has begun; what an earlier one left half done is waiting.
    """
    done: set[str] = set()
    corrupt: dict[str, str] = {}

    def look(job: Job) -> None:
        try:
            if store.find(job.kind, job.key):
                done.add(job.key)
        except CorruptEntry as error:
            corrupt[job.key] = str(error).partition(": ")[2]

    list(store.each(look, plan))
    needed = {job.key for job in plan.needed(done)}
    missing = _Missing(plan, store, [job for job in plan if job.key in needed - corrupt.keys()])
    found: dict[str, Status] = {}
    for job in plan:
        if job.key in done:
            found[job.key] = Status(State.DONE)
        elif job.key not in needed:
            found[job.key] = Status(State.IDLE, "nothing that is missing needs it")
        elif job.key in corrupt:
            found[job.key] = Status(State.WAITING, f"its entry is corrupt and will be made again: {corrupt[job.key]}")
        else:
            found[job.key] = missing.status(job, found)
    return found


class _Missing:
    """Why a job has no entry."""

    def __init__(self, plan: Plan, store: Store, jobs: list[Job]) -> None:
        self.plan = plan
        said = store.each(lambda job: (store.progress(job), store.failure(job), checkpointed(store.work(job))), jobs)
        self.said = dict(zip((job.key for job in jobs), said, strict=True))
        self.since = driver_since(plan, store)
        self.neighbours = Neighbours(plan, store)

    def status(self, job: Job, found: dict[str, Status]) -> Status:
        """``found`` holds the statuses of the job's ancestors."""
        progress, failure, epoch = self.said[job.key]
        if self.since is not None and progress.get("updated", 0) >= max(self.since, failure.get("time", 0)):
            return Status(State.RUNNING, progress=progress)
        if failure and (self.since is None or failure["time"] >= self.since):
            return Status(State.FAILED, f"failed last time: {failure['reason']}")
        ancestors = [self.plan.jobs[key] for key in job.ancestors]
        if lost := [above for above in ancestors if found[above.key].state in (State.FAILED, State.BLOCKED)]:
            return Status(State.BLOCKED, f"needs {titles(lost)}, which failed")
        if epoch:
            return Status(State.WAITING, f"goes on after epoch {epoch} of {job.epochs}", {**progress, "epoch": epoch})
        if trials := progress.get("ended"):
            return Status(State.WAITING, f"goes on after {trials} of {progress['trials']} trials", progress)
        if failure:
            return Status(State.WAITING, f"tried again; failed last time: {failure['reason']}")
        if near := self.neighbours.nearest(job):
            return Status(State.WAITING, near)
        if open_ := [above for above in ancestors if found[above.key].state != State.DONE]:
            return Status(State.WAITING, f"never run; needs {titles(open_)}")
        return Status(State.WAITING, "never run")


def checkpointed(work: CheckpointFiles) -> int:
    """Epochs that a job's newest checkpoint holds, by its name; 0 where there is none."""
    return next(map(epoch_of, newest_first(work)), 0)


def titles(jobs: list[Job], shown: int = 3) -> str:
    """The first few titles, and how many more."""
    names = ", ".join(job.title for job in jobs[:shown])
    return names if len(jobs) <= shown else f"{names} and {len(jobs) - shown} more"
