"""What goes into a job's log while it runs: what it says, prints and warns of, and why it failed."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from orchestrator.jobs.job import Job
from orchestrator.store.logs import Log
from orchestrator.store.provenance import environment

SCALARS = (bool, int, float, str)


class _Lines:
    """What one thread writes to a stream while it is recorded, line by line."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._begun = ""  # a line without an end

    def add(self, text: str) -> None:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._log.add(line.rpartition("\r")[2])  # of a bar that is drawn again and again, the last

    def finish(self) -> None:
        """Have a line that was only begun in the log."""
        if self._begun:
            self._log.add(self._begun)


class _Tee(io.TextIOBase):
    """A stream that goes on where it went; what a thread writes that is recorded goes into its log too. There is one for all
    threads, since they end in any order."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.heard: dict[int, list[_Lines]] = {}  # by thread

    def write(self, text: str) -> int:
        for lines in self.heard.get(threading.get_ident(), ()):
            lines.add(text)
        return self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding


_REPLACING = threading.Lock()


@contextlib.contextmanager
def _teed(name: str, log: Log) -> Iterator[None]:
    """While the block runs, ``sys.stdout`` or ``sys.stderr`` is one that the log hears this thread write to."""
    thread, lines = threading.get_ident(), _Lines(log)
    with _REPLACING:
        tee = getattr(sys, name)
        if not isinstance(tee, _Tee):
            tee = _Tee(tee)
            setattr(sys, name, tee)
        tee.heard.setdefault(thread, []).append(lines)
    try:
        yield
    finally:
        lines.finish()
        with _REPLACING:
            tee.heard[thread].remove(lines)
            if not tee.heard[thread]:
                del tee.heard[thread]
            if not tee.heard and getattr(sys, name) is tee:
                setattr(sys, name, tee.stream)


class _Handler(logging.Handler):
    """What this thread logs by Python's logging."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._thread = threading.get_ident()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._log.add(self.format(record))


@contextlib.contextmanager
def recorded(log: Log, job: Job, allocation: Mapping[str, Any]) -> Iterator[None]:
    """While the block runs, what this thread prints, warns of and logs goes into the log of its job too; and how it ended."""
    began = time.monotonic()
    share = ", ".join(f"{name} {value:g}" for name, value in allocation.items())
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    log.add(f"{job.kind} {job.title} ({job.key})\nprocess {os.getpid()} on {platform.node()}; {share}\n{versions}")
    log.flush()
    try:
        with _heard(log):
            yield
    except Exception as error:
        log.add(f"failed after {time.monotonic() - began:.1f} s\n{''.join(traceback.format_exception(error))}")
        log.prune()
        raise
    except BaseException as error:
        log.add(f"stopped from outside after {time.monotonic() - began:.1f} s ({type(error).__name__})")
        raise
    else:
        log.add(f"done after {time.monotonic() - began:.1f} s")
    finally:
        log.flush()


@contextlib.contextmanager
def _heard(log: Log) -> Iterator[None]:
    """While the block runs, the log hears what this thread prints and logs."""
    handler = _Handler(log)
    logging.getLogger().addHandler(handler)
    try:
        with _teed("stdout", log), _teed("stderr", log):
            yield
    finally:
        logging.getLogger().removeHandler(handler)


def said(progress: Mapping[str, Any]) -> str:
    """What a job said of its progress, as a line; empty where it said nothing that is new."""
    parts = [f"{name} {_number(value)}" for name, value in progress.items() if name in ("loss", "accuracy")]
    if progress.get("epoch"):
        first = f"epoch {progress['epoch']} of {progress['epochs']}"
        return ", ".join([first, *parts, f"{progress['seconds']:.2f} s"])
    return str(progress.get("doing", ""))


def results_line(results: Mapping[str, Any]) -> str:
    """The scalars of a job's results: ``test_accuracy 0.9321, epochs 20``."""
    return ", ".join(f"{name} {_number(value)}" for name, value in results.items() if isinstance(value, SCALARS))


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
