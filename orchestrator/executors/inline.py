"""The inline executor: the same job functions, one after the other, in this process. For debugging and fast tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from orchestrator.executors.dispatcher import Dispatcher
from orchestrator.executors.executor import Ended
from orchestrator.executors.ray.early_stopping import early_stopping_of
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.stages.runner import JobFailed, RunsElsewhere, Runtime, Stopped, run_job
from orchestrator.store.store import Store


class Inline:
    """Args: ``runtime`` gives where a job runs; ``on_progress`` is called after every epoch."""

    def __init__(
        self,
        store: Store,
        runtime: Callable[[Job], Runtime],
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._runtime = runtime
        self._on_progress = on_progress
        self._queue: deque[Job] = deque()
        self._priority: dict[str, float] = {}
        self._dispatcher = Dispatcher(store, runtime, early_stopping_of, lambda job: self._priority[job.key])

    def submit(self, job: Job, priority: float) -> None:
        self._priority[job.key] = priority
        if KINDS[job.kind].dispatched:
            self._dispatcher.submit(job)
        else:
            self._queue.append(job)

    def poll(self, timeout: float) -> list[Ended]:
        if self._queue:
            job = self._queue.popleft()
            return [self._run(job)]
        if taken := self._dispatcher.take():
            end = self._run(taken[0])
            self._dispatcher.end(end.job.key, end.failure, elsewhere=end.elsewhere, computed=end.computed)
        return self._dispatcher.ended()

    def close(self) -> None:
        self._queue.clear()
        self._dispatcher.close()

    def _run(self, job: Job) -> Ended:
        """How the job ended."""

        def report(progress: dict[str, object]) -> None:
            self._on_progress()
            if self._dispatcher.report(job.key, progress):
                raise Stopped

        try:
            return Ended(job, computed=run_job(job, self._runtime(job), report))
        except JobFailed as failure:
            return Ended(job, str(failure))
        except RunsElsewhere as elsewhere:
            return Ended(job, elsewhere=str(elsewhere))
        except Stopped:
            return Ended(job)
