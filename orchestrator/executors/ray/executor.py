"""The Ray executor: teachers, probes and banks on actors, students and the trials of searches as Tune trials."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.executors.dispatcher import Dispatcher
from orchestrator.executors.executor import Ended
from orchestrator.executors.ray.cluster import connect, require
from orchestrator.executors.ray.early_stopping import early_stopping_of
from orchestrator.experiment.spec import Resources
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.stages.runner import Runtime
from orchestrator.store.store import Store
from orchestrator.store.work import Scratch


class RayExecutor:
    """Args: ``jobs`` are those that will be submitted, ``address`` an existing cluster's or None for a private one;
    ``scratch`` is for Tune.

    Raises:
        CannotRun: where the cluster is not there or has too little for one job.
    """

    def __init__(
        self,
        jobs: list[Job],
        store: Store,
        runtime: Callable[[Job], Runtime],
        priority: Callable[[Job], float],
        resources: Resources,
        address: str | None,
        scratch: Scratch,
    ) -> None:
        connect(address)
        try:
            from orchestrator.executors.ray.actors import Actors
            from orchestrator.executors.ray.store_check import require_shared_store
            from orchestrator.executors.ray.tune import Trials

            require_shared_store(store)
            students = [job for job in jobs if KINDS[job.kind].dispatched]
            slots = require("teacher", resources.teacher) if len(students) < len(jobs) else 0
            if students:
                require("student", resources.student)
            self._actors = Actors(runtime, resources.teacher, slots, resources.max_failures, priority)
            self._trials = Trials(Dispatcher(store, runtime, early_stopping_of, priority), resources.max_failures, scratch)
        except BaseException:
            _shutdown()
            raise

    def submit(self, job: Job) -> None:
        """Run the job as soon as there is room for it.

        Raises:
            CannotRun: where the cluster has too little for the workers that are to share it.
        """
        if KINDS[job.kind].dispatched:
            self._trials.submit(job)
        else:
            self._actors.submit(job)

    def poll(self, timeout: float) -> list[Ended]:
        """Jobs that ended, waiting for one at most ``timeout`` seconds.

        Raises:
            RuntimeError: where Tune itself broke.
        """
        self._release()
        until = time.monotonic() + timeout
        ended: list[Ended] = []
        while not ended and (self._actors.busy or self._trials.busy):
            left = until - time.monotonic()
            if left < 0:
                break
            both = self._actors.busy and self._trials.busy
            ended = self._actors.poll(min(0.1, left) if both else left) if self._actors.busy else []
            ended += self._trials.poll(0 if self._actors.busy else left) if self._trials.busy else []
        return ended

    def _release(self) -> None:
        """Have both at work on what is first. No student begins while a job of higher priority waits for an actor: a teacher,
        probe or bank goes before the students that need it. Evaluations, on which nothing hangs, go after the students."""
        self._actors.settle()
        self._trials.settle(floor=self._actors.urgency)

    def close(self) -> None:
        self._actors.close()
        self._trials.close()
        _shutdown()


def _shutdown() -> None:
    import ray

    ray.shutdown()
