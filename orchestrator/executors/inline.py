"""The inline executor: the same job functions, one after the other, in this process: for debugging, for fast tests, and for
workers that share a store."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count

from orchestrator.executors.dispatcher import Dispatcher
from orchestrator.executors.executor import Ended, Heard
from orchestrator.executors.notice import Notice, OutOfTime
from orchestrator.executors.ray.early_stopping import early_stopping_of
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.schedule import Machine, this_machine
from orchestrator.stages.runner import JobFailed, RunsElsewhere, Runtime, Stopped, do_job, working_on
from orchestrator.store.store import Store

Around = Callable[[Job], AbstractContextManager[None]]


class Inline:
    """Args: ``runtime`` gives where a job runs; ``heard`` is told of every epoch, at whose end a job ends by
    :class:`OutOfTime` where ``notice`` was given; ``around`` is entered around each job while its lock is held, and may refuse
    it by :class:`JobFailed`."""

    def __init__(
        self,
        store: Store,
        runtime: Callable[[Job], Runtime],
        heard: Heard = lambda key, progress: None,
        notice: Notice | None = None,
        around: Around = lambda job: contextlib.nullcontext(),
    ) -> None:
        self._runtime = runtime
        self._heard = heard
        self._notice = notice or Notice()
        self._around = around
        self._order = count()
        self._queue: list[tuple[float, int, Job]] = []  # a heap
        self._priority: dict[str, float] = {}
        self._dispatcher = Dispatcher(store, runtime, early_stopping_of, lambda job: self._priority[job.key])
        self._at_work: Job | None = None

    @property
    def machine(self) -> Machine:
        return this_machine()

    def submit(self, job: Job, priority: float) -> None:
        self._priority[job.key] = priority
        if KINDS[job.kind].dispatched:
            self._dispatcher.submit(job)
        else:
            heapq.heappush(self._queue, (-priority, next(self._order), job))

    def poll(self, timeout: float) -> list[Ended]:
        if self._queue:
            *_, job = heapq.heappop(self._queue)
            return [self._run(job)]
        taken = self._dispatcher.take()
        if taken:
            end = self._run(taken[0])
            self._dispatcher.end(end.job.key, end.failure, elsewhere=end.elsewhere, computed=end.computed)
        self._tell()
        return self._dispatcher.ended(0 if taken else timeout)

    def drain(self) -> list[Job]:
        self._queue.clear()
        return [self._at_work] if self._at_work else []

    def close(self) -> None:
        self._queue.clear()
        self._dispatcher.close()

    def _tell(self) -> None:
        for key, progress in self._dispatcher.said().items():
            self._heard(key, progress)

    def _run(self, job: Job) -> Ended:
        """How the job ended."""

        def report(progress: dict[str, object]) -> None:
            self._dispatcher.note(job.key, **progress)
            self._tell()
            stops = self._dispatcher.report(job.key, progress)
            if self._notice.given:
                raise OutOfTime
            if stops:
                raise Stopped
            self._notice.expect(progress.get("seconds"))  # type: ignore[arg-type]

        self._at_work, runtime = job, self._runtime(job)  # stays, where time is over
        try:
            with working_on(job, runtime), self._around(job):
                end = Ended(job, computed=do_job(job, runtime, report))
        except JobFailed as failure:
            end = Ended(job, str(failure))
        except RunsElsewhere as elsewhere:
            end = Ended(job, elsewhere=str(elsewhere))
        except Stopped:
            end = Ended(job)
        self._notice.expect(None)
        self._at_work = None
        return end
