"""The writer that follows a run: a thread with room for one snapshot, which neither stops nor slows what it follows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

from orchestrator.experiment.spec import Spec
from orchestrator.planning.plan import Plan
from orchestrator.planning.snapshot import Snapshot
from orchestrator.store.store import Store
from orchestrator.tracking.experiment_record import Artifacts
from orchestrator.tracking.failure import sentence
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.projection import opened
from orchestrator.tracking.server import settings

ROUND_S = 1.0  # between two rounds of writing
PAUSES_S = (1, 2, 5, 10, 30)  # after a failure, and after each further one in a row


class Writer:
    """Mirrors the newest snapshot it was given; older ones that it had no time for are skipped.

    ``artifacts`` (see :func:`orchestrator.tracking.projection.project`) is called in the writer's thread.
    """

    def __init__(self, spec: Spec, plan: Plan, store: Store, artifacts: Artifacts | None = None) -> None:
        self._spec = spec
        self._plan = plan
        self._store = store
        self._artifacts = artifacts
        self._inbox = threading.Condition()
        self._running: frozenset[str] = frozenset()  # keys of the newest snapshot
        self._fresh = False  # whether it is still to be written
        self._closing = False
        self._complete = False
        self._problem: str | None = None
        self.note = ""  # what a user should know of MLflow's place
        self._environment = ExitStack()
        self._environment.enter_context(settings())  # the process's, so from here and not from the thread
        self._thread = threading.Thread(target=self._work, name="kd-mlflow", daemon=True)
        self._thread.start()

    def update(self, snapshot: Snapshot) -> None:
        """Take note of a snapshot. Never waits for MLflow."""
        running = frozenset(job.key for job in snapshot.running)
        with self._inbox:
            self._running, self._fresh = running, True
            self._inbox.notify()

    def close(self, timeout: float) -> str | None:
        """Write the end: nothing runs any more. Returns None where MLflow holds everything, or a sentence that says why not.

        Waits ``timeout`` seconds at most; an MLflow that fails is tried once more and not waited for.
        """
        with self._inbox:
            self._running, self._fresh, self._closing = frozenset(), True, True
            self._inbox.notify()
        self._thread.join(timeout)
        self._environment.close()
        if self._complete:
            return None
        late = TimeoutError(f"not everything was written within {timeout:g} s")
        return self._problem or self._sentence(late)

    def _work(self) -> None:
        failed = 0
        self._wait(lambda: self._fresh)
        while not self._complete:
            last = self._closing
            try:
                with opened(self._spec, self._plan, self._store, self._artifacts) as projection:
                    while not self._complete:
                        self._wait(lambda: self._fresh)
                        with self._inbox:
                            running, closing, self._fresh = self._running, self._closing, False
                        self.note = projection.sync(running, active=not closing).note or self.note
                        self._problem, self._complete, failed = None, closing, 0
                        self._wait(lambda: self._closing, ROUND_S)
            except Exception as error:  # whatever it is, it must not reach the training
                self._problem = self._sentence(error)
                if last:
                    return
                self._fresh = True
                self._wait(lambda: self._closing, PAUSES_S[min(failed, len(PAUSES_S) - 1)])
                failed += 1

    def _wait(self, until: Callable[[], bool], seconds: float | None = None) -> None:
        with self._inbox:
            self._inbox.wait_for(until, seconds)

    def _sentence(self, error: Exception) -> str:
        return sentence(error, tracking_location(self._spec, self._store), self._spec.file)
