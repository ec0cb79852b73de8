"""The run's end of a session: the process is started, asked and ended here."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from orchestrator.executors.ray.cluster import SHOW
from orchestrator.executors.ray.terms import Terms
from orchestrator.executors.ray.watch import WHY

MARK = "KD_SESSION"  # a variable that all processes of a session inherit
KEEP_ENVIRONMENT = {"SPT_NOENV": "1"}  # else Ray's names of its processes overwrite what /proc tells of theirs
LAST_WORDS = 500  # characters of them
CLOSE_S = 90  # for a session to end in order: what Tune may take to end, and Ray
DIED_S = 10  # for a process whose socket is closed to be dead
CODE = """
import sys
descriptor, sys.argv[0], *sys.path[:] = sys.argv[1:]
from orchestrator.executors.ray.session import serve
serve(int(descriptor))
"""


class SessionLost(Exception):
    """The session's process is gone; the text says why."""


class SessionProcess:
    """A process of its own, in a session of its own (setsid): a signal to the run's group does not reach it. It begins to open
    the cluster at once, while the run does other things.

    What Ray prints is kept aside. It is many lines for each worker that died, of which the run has its own words.
    """

    def __init__(self, terms: Terms) -> None:
        self.opened = False
        self.interrupted = False  # in a request: the answer to it would be taken for that to the next one
        self._mark = uuid.uuid4().hex
        self._output = None if os.environ.get(SHOW) else tempfile.TemporaryFile()  # noqa: SIM115 -- closed in end()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", CODE, str(theirs.fileno()), sys.argv[0], *sys.path],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env={**os.environ, **KEEP_ENVIRONMENT, MARK: self._mark},
                start_new_session=True,
            )
            self._link = Connection(ours.detach())
        with contextlib.suppress(ConnectionError):  # it is dead already: the first answer will tell
            self._link.send(terms)

    def wait(self) -> None:
        """Until the session is open.

        Raises:
            SessionLost: where the process is gone, or goes meanwhile.
            CannotRun: where the cluster is not there or has too little for one job.
        """
        if not self.opened:
            self._answer()
            self.opened = True

    def ask(self, name: str, *arguments: object) -> Any:
        """What a method of the session returns.

        Raises:
            SessionLost: where the process is gone, or goes while it is asked.
            Exception: what the method raised.
        """
        self.wait()
        self.interrupted = True
        with contextlib.suppress(ConnectionError):
            self._link.send((name, *arguments))
        answer = self._answer()
        self.interrupted = False
        return answer

    def end(self) -> None:
        """End it, in order where it had been opened, and whatever is left of its private cluster."""
        self._link.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_S if self.opened else 0)
        self._process.kill()
        self._process.wait()
        if self._output:
            self._output.close()
        while left := list(_marked(self._mark)):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _answer(self) -> Any:
        try:
            answer, problem = self._link.recv()
        except (EOFError, ConnectionError):
            raise SessionLost(self._why()) from None
        if problem:
            raise problem
        return answer

    def _why(self) -> str:
        try:
            code = self._process.wait(DIED_S)
        except subprocess.TimeoutExpired:
            return "the process that works with it does not answer"
        ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return WHY.get(code, f"the process that works with it {ended}{self._last_words()}")

    def _last_words(self) -> str:
        if not self._output:
            return ""
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - LAST_WORDS))
        lines = self._output.read().decode(errors="replace").splitlines()
        return f": {lines[-1]}" if lines else ""


def _marked(mark: str) -> Iterator[int]:
    """The living processes that inherited a mark; none are found where there is no /proc."""
    wanted = f"{MARK}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)
