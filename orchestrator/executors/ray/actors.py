"""Teachers, probes and banks on Ray actors, in parallel, those first on which most time hangs.

An actor takes the next job when it has ended one, so that torch is imported once per actor and not once per job; it is let go
when the end of its job made no new job ready, since an idle actor would hold resources that trials could use. An actor whose
process dies is restarted by Ray and its job goes on from its checkpoint, ``max_failures`` times. A job that runs out of GPU
memory goes on with a larger allocation, in a fresh process.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, cast

import ray

from orchestrator.executors.executor import CannotRun, Ended
from orchestrator.executors.memory_retry import larger_allocation
from orchestrator.executors.ray.data_parallel import RemoteDataParallel
from orchestrator.executors.ray.remote_error import last_line, times
from orchestrator.executors.ray.report import Report
from orchestrator.experiment.spec import TeacherAllocation
from orchestrator.jobs.job import Job
from orchestrator.stages.runner import JobFailed, OutOfMemory, RunsElsewhere, Runtime, run_job

UP_S = 3.0  # an actor that is not up by then waits for room
LOOK_S = 2.0  # between two looks at how far the jobs on actors are


class Worker:
    """A process that runs jobs."""

    def run(self, job: Job, runtime: Runtime) -> Report:
        """How the job ended."""
        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        try:
            computed = run_job(job, runtime)
        except JobFailed as failure:
            return Report(str(failure), restarted, isinstance(failure, OutOfMemory))
        except RunsElsewhere as elsewhere:
            return Report(restarted=restarted, elsewhere=str(elsewhere))
        return Report(restarted=restarted, computed=computed)


RemoteWorker = ray.remote(Worker)


@dataclass(order=True)
class _Task:
    """A job that waits or runs: how many slots it takes, and the actor that runs it."""

    rank: tuple[float, int]  # the lowest goes first
    job: Job = field(compare=False)
    runtime: Runtime = field(compare=False)
    slots: int = field(compare=False, default=1)
    lost: int = field(compare=False, default=0)  # how often its actor's node went away
    actor: Any = field(compare=False, default=None)
    begun: float = field(compare=False, default=0.0)  # monotonic clock
    up: Any = field(compare=False, default=None)  # a reference that is ready as soon as a new actor is up
    before: str | None = field(compare=False, default=None)  # the attempt that the store told of when it was begun
    said: dict[str, Any] = field(compare=False, default_factory=dict)  # what it told last

    @property
    def reusable(self) -> bool:
        """Whether its actor can be the next job's."""
        return self.runtime.workers == 1 and not self.runtime.too_small


class Actors:
    """At most ``slots`` times the teachers' share at work. ``priority`` of a job: what is higher goes first; ``alive`` is
    called before a worker is taken for dead, and returns only where its cluster lives; ``progress`` is what the store holds."""

    def __init__(
        self,
        runtime: Callable[[Job], Runtime],
        allocation: TeacherAllocation,
        slots: int,
        max_failures: int,
        priority: Callable[[Job], float] = lambda job: 0.0,
        alive: Callable[[], None] = lambda: None,
        progress: Callable[[Job], dict[str, Any]] = lambda job: {},
    ) -> None:
        self._runtime = runtime
        self._allocation = allocation
        self._slots = slots
        self._max_failures = max_failures
        self._priority = priority
        self._alive = alive
        self._progress = progress
        self._looked = -math.inf  # by the monotonic clock
        self._turn = count()  # of equal priority, the first goes first
        self._queue: list[_Task] = []  # a heap
        self._running: dict[Any, _Task] = {}  # by the reference to its result
        self._idle: list[Any] = []  # since the last poll
        self._drained = False  # nothing more is begun

    def submit(self, job: Job) -> None:
        """Run the job as soon as a worker is free.

        Raises:
            CannotRun: where the cluster has too little for the workers that are to share it.
        """
        runtime = self._runtime(job)
        if job.divisible and self._allocation.workers > 1:
            runtime = replace(runtime, workers=self._allocation.workers)
        if runtime.workers > self._slots:
            raise CannotRun(
                f"resources.teacher.workers asks for {runtime.workers} times {runtime.cpus:g} CPU and {runtime.gpus:g} GPU, "
                f"but the nodes have room for {self._slots} times as much"
            )
        self._wait(job, runtime, runtime.workers)
        self._assign()

    def poll(self, timeout: float) -> list[Ended]:
        """Jobs that ended, waiting for one at most ``timeout`` seconds."""
        if not self._running:
            return []
        ready, _ = ray.wait(list(self._running), timeout=timeout)
        ended = [self._collect(reference) for reference in ready]
        return [end for end in ended if end]

    def settle(self) -> None:
        """Let go of workers that found no next job. Ray ends an actor that nobody knows any more."""
        self._assign()
        self._idle.clear()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits here."""
        return bool(self._running or self._queue)

    @property
    def urgency(self) -> float:
        """The priority of the first job that waits for a worker, or whose worker waits for resources; -inf where none does."""
        waiting = [task.rank[0] for task in (*self._queue[:1], *filter(_waits_for_room, self._running.values()))]
        return -min(waiting, default=math.inf)

    def said(self) -> dict[str, dict[str, Any]]:
        """By key, what jobs at work have said of themselves since the last call, or some seconds ago: there are as many as
        actors, and the store is asked for it."""
        if (now := time.monotonic()) - self._looked < LOOK_S:
            return {}
        self._looked = now
        found = {}
        for task in self._running.values():
            progress = self._progress(task.job)
            if progress and progress["attempt"] != task.before and progress != task.said:
                found[task.job.key] = task.said = progress
        return found

    def drain(self) -> list[Job]:
        """Begin nothing more; the jobs that are at work."""
        self._drained = True
        return [task.job for task in self._running.values()]

    def close(self) -> None:
        """Forget every worker; they go down with our job in Ray. Killing them here would only print that they were killed."""
        self._running.clear()
        self._idle.clear()
        self._queue.clear()

    def _wait(self, job: Job, runtime: Runtime, slots: int, lost: int = 0) -> None:
        heapq.heappush(self._queue, _Task((-self._priority(job), next(self._turn)), job, runtime, slots, lost))

    def _collect(self, reference: Any) -> Ended | None:
        """How a job ended, or None where it goes on: with a larger allocation, or on another node."""
        task = self._running.pop(reference)
        try:
            report = self._report(reference)
        except ray.exceptions.ActorUnavailableError as error:
            # Ray tries a node that has just died until its retries are used up, within seconds, and only then finds it dead
            if task.lost < self._max_failures:
                self._wait(task.job, task.runtime, task.slots, task.lost + 1)
                return None
            report = Report(f"its node went away {times(task.lost + 1)}({last_line(error)})", restarted=True)
        except ray.exceptions.RayError as error:
            report = Report(f"its worker died {times(self._max_failures + 1)}({last_line(error)})", restarted=True)
        if report.out_of_memory and (runtime := larger_allocation(task.runtime)):
            self._wait(task.job, runtime, min(self._slots, math.ceil(runtime.gpus / self._allocation.gpus)))
            return None
        if task.reusable and not report.restarted and not report.out_of_memory:
            self._idle.append(task.actor)  # one that died once has used up restarts that are the next job's
        return Ended(task.job, report.failure, report.elsewhere, report.computed, report.restarted or task.lost > 0)

    def _report(self, reference: Any) -> Report:
        try:
            return cast(Report, ray.get(reference))
        except ray.exceptions.RayError:
            self._alive()
            raise

    def _assign(self) -> None:
        """Begin what there is room for; what is first in the queue is not overtaken by what needs less."""
        while self._queue and not self._drained:
            used = sum(task.slots for task in self._running.values())
            if used + self._queue[0].slots > self._slots:
                return
            task = heapq.heappop(self._queue)
            self._running[self._begin(task)] = task

    def _begin(self, task: _Task) -> Any:
        """Set an actor to work; the reference to its report."""
        task.before, task.begun = self._progress(task.job).get("attempt"), time.monotonic()
        restarts = {"max_restarts": self._max_failures, "max_task_retries": self._max_failures}
        if task.runtime.workers > 1:
            task.actor = RemoteDataParallel.options(num_cpus=0, **restarts).remote()
            return task.actor.run.remote(task.job, task.runtime, self._max_failures)
        if task.reusable and self._idle:
            task.actor = self._idle.pop()
        else:
            task.actor = RemoteWorker.options(num_cpus=task.runtime.cpus, num_gpus=task.runtime.gpus, **restarts).remote()
            task.up = task.actor.__ray_ready__.remote()
        return task.actor.run.remote(task.job, task.runtime)


def _waits_for_room(task: _Task) -> bool:
    """Whether Ray has found no room yet for the actor of a job, which takes it a second else."""
    if task.up is None or time.monotonic() - task.begun < UP_S:
        return False
    up, _ = ray.wait([task.up], timeout=0)
    if up:
        task.up = None
    return not up
