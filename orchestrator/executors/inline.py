"""The inline executor: the same job functions, one after the other, in this process. For debugging and fast tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from orchestrator.executors.executor import Ended
from orchestrator.job import Job
from orchestrator.stages.runner import JobFailed, Place, run_job


class Inline:
    """Args: ``place`` gives where a job runs, ``on_progress`` is called after every epoch of it."""

    def __init__(self, place: Callable[[Job], Place], on_progress: Callable[[], None] = lambda: None) -> None:
        self._place = place
        self._on_progress = on_progress
        self._queue: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self._queue.append(job)

    def poll(self, timeout: float) -> list[Ended]:
        if not self._queue:
            return []
        job = self._queue.popleft()

        def listen(progress: dict[str, Any]) -> None:
            self._on_progress()

        try:
            run_job(job, self._place(job), listen)
        except JobFailed as failure:
            return [Ended(job, str(failure))]
        return [Ended(job)]

    def close(self) -> None:
        self._queue.clear()
