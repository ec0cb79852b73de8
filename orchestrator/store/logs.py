"""The logs of attempts at jobs: what was said and what went wrong, also of those that came to nothing.

    logs/<kind>/<key>/<time>-<attempt>.log    UTF-8, a line for each that was said, with its time of the day (UTC)

A log is nothing that a result depends on: what cannot be written of it is lost, and no job fails for that.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.store.backends.backend import Backend

LOGS = "logs"
SUFFIX = ".log"
FIRST, LAST = 64 * 1024, 192 * 1024  # characters that are kept of a log's beginning and of its end
FLUSH_S = 5.0  # between two times that a log at work is written
KEPT = 20  # logs of a job that fails again and again; the oldest go


def log_folder(kind: str, key: str) -> str:
    """Where the logs of a job lie."""
    return f"{LOGS}/{kind}/{key}"


class Log:
    """The log of one attempt, as it is being written."""

    def __init__(self, backend: Backend, folder: str, attempt: str, clock: Callable[[], float] = time.time) -> None:
        self._backend = backend
        self._folder = folder
        self._clock = clock
        began = clock()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(began)) + f".{int(began % 1 * 1000):03}Z"
        self.name = f"{folder}/{stamp}-{attempt}{SUFFIX}"
        self._first: list[str] = []
        self._last: deque[str] = deque()
        self._room = [FIRST, LAST]
        self._dropped = 0  # lines between the first and the last
        self._written = float("-inf")

    def add(self, text: str) -> None:
        """Take the lines of a text."""
        stamp = time.strftime("%H:%M:%S ", time.gmtime(self._clock()))
        for line in text.splitlines() or [""]:
            self._take(f"{stamp}{line[:LAST]}")

    def flush(self) -> None:
        """Have it in the store as it is now."""
        self._written = self._clock()
        with contextlib.suppress(OSError):
            self._backend.write(self.name, self.text.encode(errors="backslashreplace"), durable=False)

    def flush_now_and_then(self) -> None:
        """Where that was not done for a while."""
        if self._clock() - self._written >= FLUSH_S:
            self.flush()

    def prune(self) -> None:
        """Have the oldest logs of the job gone, where they are many."""
        with contextlib.suppress(OSError):
            for name in names(self._backend, self._folder)[:-KEPT]:
                self._backend.remove(name)

    @property
    def text(self) -> str:
        """All of it, but for what is too long."""
        dropped = [f"… {self._dropped} lines are left out here …"] if self._dropped else []
        return "".join(f"{line}\n" for line in (*self._first, *dropped, *self._last))

    def _take(self, line: str) -> None:
        if not self._last and len(line) < self._room[0]:
            self._first.append(line)
            self._room[0] -= len(line) + 1
            return
        self._last.append(line)
        self._room[1] -= len(line) + 1
        while self._room[1] < 0 and len(self._last) > 1:
            self._room[1] += len(self._last.popleft()) + 1
            self._dropped += 1


@dataclass(frozen=True)
class Kept:
    """A log that is in the store."""

    name: str
    text: str

    @property
    def attempt(self) -> str:
        """Twelve hex digits."""
        return self.name.rpartition("-")[2].removesuffix(SUFFIX)

    @property
    def began(self) -> str:
        """Date and time (UTC): 2026-11-29 07:01:02."""
        stamp = self.name.rpartition("/")[2]
        day, hour = stamp[:8], stamp[9:15]
        return f"{day[:4]}-{day[4:6]}-{day[6:]} {hour[:2]}:{hour[2:4]}:{hour[4:]}"


def names(backend: Backend, folder: str) -> list[str]:
    """The logs in a folder, the oldest first."""
    return sorted(f"{folder}/{name}" for name in backend.sizes(folder) if name.endswith(SUFFIX))


def read(backend: Backend, name: str) -> Kept | None:
    """A log; None where it is gone meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return Kept(name, backend.read(name).decode(errors="replace"))
    return None
