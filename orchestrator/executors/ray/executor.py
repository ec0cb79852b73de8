"""The Ray executor: a session on a cluster, and another one where the first is lost.

Ray is imported by the session's process alone. Workers keep nothing but checkpoints and results, both in the store, so that a
new session goes on from there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from orchestrator.executors.executor import CannotRun, ClusterLost, Ended, Heard
from orchestrator.executors.ray.session_process import SessionLost, SessionProcess
from orchestrator.executors.ray.terms import Terms
from orchestrator.jobs.job import Job
from orchestrator.planning.schedule import Machine
from orchestrator.planning.snapshot import Waits
from orchestrator.store.store import Store

DEATHS = 3  # so many in a row without a job that has ended, and the run ends
RETURN_S = 600.0  # how long a cluster that others run is waited for
TRY_AGAIN_S = 5.0
ASK_AGAIN_S = 10.0  # how large the cluster is


class RayExecutor:
    """``say`` takes notes for the user, ``waits`` what is waited for, ``heard`` what jobs at work say of themselves. The
    cluster is opened meanwhile: what is wrong with it is raised at the first job."""

    def __init__(
        self, terms: Terms, say: Callable[[str], None], waits: Waits, heard: Heard = lambda key, progress: None
    ) -> None:
        self._terms = terms
        self._say = say
        self._waits = waits
        self._heard = heard
        self.machine: Machine | None = None  # what all nodes have, as it was within the last seconds
        self._asked = float("-inf")  # monotonic clock
        self._open: dict[str, tuple[Job, float]] = {}  # what was submitted and has not ended, with its priority
        self._deaths = 0  # since a job ended last
        self._gone_since = 0.0  # monotonic clock
        self._try_at = 0.0
        self._drained = False
        self._session: SessionProcess | None = SessionProcess(terms)

    def submit(self, job: Job, priority: float) -> None:
        """Run the job as soon as there is room for it.

        Raises:
            CannotRun: where the cluster is not there, or has too little for the job or for the workers that are to share it.
            ClusterLost: where it dies again and again.
        """
        self._open[job.key] = job, priority
        if self._session:
            try:
                self._wait(self._session)
                self._session.ask("submit", job, priority)
            except SessionLost as lost:
                self._recover(lost)

    def poll(self, timeout: float) -> list[Ended]:
        """Jobs that ended, waiting for one at most ``timeout`` seconds.

        Raises:
            ClusterLost: where the cluster dies again and again, or does not come back.
            RuntimeError: where Ray Tune broke.
        """
        session = self._session or self._return(timeout)
        if not session:
            return []
        try:
            self._look(session)
            ended: list[Ended] = session.ask("poll", timeout)
            said: dict[str, dict[str, Any]] = session.ask("said")
        except SessionLost as lost:
            self._recover(lost)
            return []
        for end in ended:
            del self._open[end.job.key]
            self._deaths = 0
        for key, progress in said.items():
            if key in self._open:
                self._heard(key, progress)
        return ended

    def drain(self) -> list[Job]:
        """Begin nothing more; the jobs that are at work. What is lost from now on is not begun again."""
        self._drained = True
        if not self._session or self._session.interrupted or not self._session.opened:
            return []
        try:
            at_work: list[Job] = self._session.ask("drain")
        except SessionLost as lost:
            self._recover(lost)
            return []
        return at_work

    def close(self) -> None:
        """Let go of every worker; a private cluster ends."""
        self._let_go()
        Store(self._terms.runtimes.store).scratch(self._terms.scratch).clear()

    def _begin(self) -> None:
        """Open another session, with all that was submitted before."""
        session = SessionProcess(self._terms)
        self._session = session
        try:
            self._wait(session)
            for job, priority in self._open.values():
                session.ask("submit", job, priority)
        except BaseException:
            self._let_go()
            raise

    def _wait(self, session: SessionProcess) -> None:
        """Until a session is open."""
        if not session.opened:
            address = self._terms.address
            self._waits(f"joining the Ray cluster at {address}" if address else "starting Ray")
            session.wait()
            self._waits("")
            if missing := session.ask("missing"):
                self._say(f"{missing} of {self._terms.nodes} nodes did not come up: the run goes on without them")

    def _look(self, session: SessionProcess) -> None:
        """Ask now and then how large the cluster is: others' may grow."""
        if time.monotonic() - self._asked >= ASK_AGAIN_S:
            self._asked = time.monotonic()
            self.machine = session.ask("machine")

    def _let_go(self) -> None:
        session, self._session = self._session, None
        if session:
            session.end()

    def _recover(self, lost: SessionLost) -> None:
        """After a cluster died: say so, and have the next poll begin anew."""
        self._let_go()
        self._deaths += 1
        if self._deaths == DEATHS:
            raise ClusterLost(f"the Ray cluster died {DEATHS} times in a row, and no job ended in between: {lost}")
        self._gone_since = self._try_at = time.monotonic()
        address = self._terms.address
        what = f"the cluster at {address} is waited for" if address else "a new one is begun"
        self._say(f"the Ray cluster died ({lost}): {what}, and jobs go on from their checkpoints")

    def _return(self, timeout: float) -> SessionProcess | None:
        """Try to begin anew where it is time to. Returns the new session, where there is one now.

        Raises:
            ClusterLost: where it was tried for too long.
        """
        wait = math.inf if self._drained else self._try_at - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, timeout))
            return None
        try:
            self._begin()
        except SessionLost as lost:
            self._recover(lost)
        except CannotRun as error:
            if not self._terms.address or time.monotonic() - self._gone_since > RETURN_S:
                raise ClusterLost(f"the Ray cluster did not come back: {error}") from None
            self._try_at = time.monotonic() + TRY_AGAIN_S
        return self._session
