"""What workers of one experiment, who know of each other by the store alone, keep from doing again.

A job that failed under one of them is not tried again by the others, and a job that kills its worker does not kill them all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from orchestrator.jobs.job import Job
from orchestrator.planning.state import checkpointed
from orchestrator.stages.runner import JobFailed
from orchestrator.store.store import Store

BEGUN = "begun.json"  # in a job's work folder: how often it was begun since its newest checkpoint, and never ended in order


class Tries:
    """What to enter around a job while its lock is held.

    Args:
        since: what failed from then on (Unix time) is not tried again.
        deaths: after so many of its workers without an epoch in between, a job has failed.
    """

    def __init__(self, store: Store, since: float, deaths: int) -> None:
        self._store = store
        self._since = since
        self._deaths = deaths

    def failure(self, job: Job) -> str:
        """Why the job failed under one of the workers; empty where it did not."""
        found = self._store.failure(job)
        return str(found["reason"]) if found and found["time"] >= self._since else ""

    @contextlib.contextmanager
    def __call__(self, job: Job) -> Iterator[None]:
        """While the block runs, the store remembers that the job was begun.

        Raises:
            JobFailed: where it failed before, or its workers died.
        """
        if reason := self.failure(job):
            raise JobFailed(reason)
        epoch, found = checkpointed(self._store.work(job)), self._store.read_work(job, BEGUN)
        times = found.get("times", 0) if found.get("epoch") == epoch else 0
        if times >= self._deaths:
            reason = f"its worker died {times} times"
            self._store.fail(job, {"reason": reason})
            self._store.backend.remove(f"{self._store.work(job).folder}/{BEGUN}")
            raise JobFailed(reason)
        self._store.write_work(job, BEGUN, {"epoch": epoch, "times": times + 1})
        try:
            yield
        finally:
            self._store.backend.remove(f"{self._store.work(job).folder}/{BEGUN}")
