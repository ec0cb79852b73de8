"""Teachers, probes and banks on Ray actors, in parallel.

An actor takes the next job when it has ended one, so that torch is imported once per actor and not once per job; it is let go
when the end of its job made no new job ready, since an idle actor would hold resources that trials could use. An actor whose
process dies is restarted by Ray and its job goes on from its checkpoint, ``max_failures`` times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import ray

from orchestrator.executors.executor import Ended
from orchestrator.job import Job
from orchestrator.spec.spec import Share
from orchestrator.stages.runner import JobFailed, Place, run_job


class Worker:
    """A process that runs jobs."""

    def run(self, job: Job, place: Place) -> tuple[str | None, bool]:
        """Why the job failed, or None; and whether this process replaces one that died."""
        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        try:
            run_job(job, place)
        except JobFailed as failure:
            return str(failure), restarted
        return None, restarted


RemoteWorker = ray.remote(Worker)


class Actors:
    """At most ``slots`` workers, each with the same share of the resources."""

    def __init__(self, place: Callable[[Job], Place], share: Share, slots: int, max_failures: int) -> None:
        self._place = place
        self._slots = slots
        self._max_failures = max_failures
        self._options = {
            "num_cpus": share.cpus,
            "num_gpus": share.gpus,
            "max_restarts": max_failures,
            "max_task_retries": max_failures,
        }
        self._queue: deque[Job] = deque()
        self._running: dict[Any, tuple[Any, Job]] = {}  # result reference to (actor, job)
        self._idle: list[Any] = []  # since the last poll

    def submit(self, job: Job) -> None:
        """Run the job as soon as a worker is free."""
        self._queue.append(job)
        self._assign()

    def poll(self, timeout: float) -> list[Ended]:
        """Jobs that ended, waiting for one at most ``timeout`` seconds."""
        if not self._running:
            return []
        ready, _ = ray.wait(list(self._running), timeout=timeout)
        return [self._collect(reference) for reference in ready]

    def settle(self) -> None:
        """Let go of workers that found no next job. Ray ends an actor that nobody knows any more."""
        self._assign()
        self._idle.clear()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits here."""
        return bool(self._running or self._queue)

    @property
    def crowded(self) -> bool:
        """Whether a job waits for a worker."""
        return bool(self._queue)

    def close(self) -> None:
        """Forget every worker; they go down with our job in Ray. Killing them here would only print that they were killed."""
        self._running.clear()
        self._idle.clear()
        self._queue.clear()

    def _collect(self, reference: Any) -> Ended:
        actor, job = self._running.pop(reference)
        try:
            failure, restarted = ray.get(reference)
        except ray.exceptions.RayError as error:
            failure, restarted = f"its worker died {self._max_failures + 1} times ({_first_line(error)})", True
        if not restarted:  # one that died once has used up restarts that are the next job's
            self._idle.append(actor)
        return Ended(job, failure)

    def _assign(self) -> None:
        while self._queue and len(self._running) < self._slots:
            job = self._queue.popleft()
            actor: Any = self._idle.pop() if self._idle else RemoteWorker.options(**self._options).remote()
            self._running[actor.run.remote(job, self._place(job))] = (actor, job)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
