"""A run's work on a Ray cluster, in a process of its own: where the cluster dies, that process ends, and the run goes on.

Teachers, probes and banks run on actors, students and the trials of searches as Tune trials.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from orchestrator.executors.dispatcher import Dispatcher
from orchestrator.executors.executor import CannotRun, Ended
from orchestrator.executors.ray.cluster import await_nodes, connect, require
from orchestrator.executors.ray.early_stopping import early_stopping_of
from orchestrator.executors.ray.terms import Terms
from orchestrator.executors.ray.watch import Watch
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.schedule import Machine
from orchestrator.store.errors import StoreError, StoreFailed
from orchestrator.store.store import Store

TOLD = (CannotRun, StoreError, StoreFailed)  # errors that say all there is to say
ORPHAN_S = 30  # for a session whose run was killed to end in order


class Session:
    """Opens the cluster, or joins it.

    Raises:
        CannotRun: where the cluster is not there or has too little for one job.
    """

    def __init__(self, terms: Terms) -> None:
        connect(terms.address)
        self._watch = Watch(private=terms.address is None)
        try:
            from orchestrator.executors.ray.actors import Actors
            from orchestrator.executors.ray.store_check import require_shared_store
            from orchestrator.executors.ray.tune import Trials

            store, runtimes = Store(terms.runtimes.store), terms.runtimes
            self._missing = terms.nodes - await_nodes(terms.nodes)
            resources = runtimes.resources
            require_shared_store(store)
            dispatched = {kind for kind in terms.kinds if KINDS[kind].dispatched}
            slots = require("teacher", resources.teacher) if terms.kinds - dispatched else 0
            if dispatched:
                require("student", resources.student)
            self._priorities: dict[str, float] = {}
            alive, limit = self._watch.require, resources.max_failures
            dispatcher = Dispatcher(store, runtimes, early_stopping_of, self._priority)
            self._actors = Actors(runtimes, resources.teacher, slots, limit, self._priority, alive, store.progress)
            self._trials = Trials(dispatcher, limit, store.scratch(terms.scratch), alive)
        except BaseException:
            self._shutdown()
            raise

    def submit(self, job: Job, priority: float) -> None:
        """Run the job as soon as there is room for it.

        Raises:
            CannotRun: where the cluster has too little for the workers that are to share it.
        """
        self._priorities[job.key] = priority
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

    def said(self) -> dict[str, dict[str, Any]]:
        """By key, what jobs at work have said of themselves since the last call."""
        return self._actors.said() | self._trials.said()

    def machine(self) -> Machine:
        """What all living nodes have."""
        import ray

        found = ray.cluster_resources()
        return Machine(found.get("CPU", 0), found.get("GPU", 0))

    def missing(self) -> int:
        """How many of the nodes that were waited for were not there when it opened."""
        return max(0, self._missing)

    def drain(self) -> list[Job]:
        """Begin nothing more; the jobs that are at work."""
        return self._actors.drain() + self._trials.drain()

    def close(self) -> None:
        """Let go of every worker; a private cluster ends."""
        self._actors.close()
        self._trials.close()
        self._shutdown()

    def _release(self) -> None:
        """Have both at work on what is first. No student begins while a job of higher priority waits for an actor: a teacher,
        probe or bank goes before the students that need it. Evaluations, on which nothing hangs, go after the students."""
        self._actors.settle()
        self._trials.settle(floor=self._actors.urgency)

    def _priority(self, job: Job) -> float:
        return self._priorities[job.key]

    def _shutdown(self) -> None:
        import ray

        self._watch.end()
        ray.shutdown()


def serve(descriptor: int) -> None:
    """Open a session and do what the run asks of it through a socket, until that is closed: the process's whole life.

    First come its terms; then requests: the name of a method, and its arguments. Each is answered by what was returned, and
    what was raised.
    """
    os.set_inheritable(descriptor, False)  # Ray's processes would hold it open
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave_it_to_the_run)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a batch system may send it to every process, and Ray's would end by it
    threading.Thread(target=_outlive_no_run, args=[os.getppid()], daemon=True).start()
    session: Session | None = None
    with Connection(descriptor) as run:
        try:
            while True:
                request = run.recv()
                answer: object = None
                problem: Exception | None = None
                try:
                    if session:
                        answer = getattr(session, request[0])(*request[1:])
                    else:
                        session = Session(request)
                except Exception as error:
                    problem = _sendable(error)
                run.send((answer, problem))
        except (EOFError, ConnectionError):
            pass
        finally:
            if session:
                session.close()


def _leave_it_to_the_run(number: int, frame: object) -> None:
    """It closes the socket when it has to end. To ignore the signals instead would be inherited by Ray's processes."""


def _outlive_no_run(parent: int) -> None:
    """End this process some time after its run has gone without a word, whatever it waits for."""
    while os.getppid() == parent:
        time.sleep(1)
    time.sleep(ORPHAN_S)
    os._exit(1)


def _sendable(error: Exception) -> Exception:
    """An error as it can be pickled; where it was not expected, with where it was raised."""
    if isinstance(error, TOLD):
        return type(error)(str(error))
    found = RuntimeError(str(error) if type(error) is RuntimeError else f"{type(error).__name__}: {error}")
    found.add_note("".join(traceback.format_exception(error)))
    return found
