"""What happens in a run, as events: what the live view lists, the plain lines say and ``kd run --json`` writes.

They follow from what a run says that it waits for and from its snapshots, so all views tell the same.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.jobs.job import Job
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State


class Happening(enum.StrEnum):
    """The kinds of events; the comment names what each has beside ``event``, ``time`` and, of a job, ``job``."""

    BEGIN = "begin"  # name, file, store
    WAIT = "wait"  # for: what is waited for while no job can be at work
    COUNTS = "counts"  # how many jobs are in each state, and ready
    JOB_BEGINS = "job_begins"
    PROGRESS = "progress"  # what the job said of its epoch or its trials: epoch, epochs, loss, accuracy, seconds, …
    JOB_DONE = "job_done"  # seconds since it was seen to begin, null where it was not
    JOB_FAILED = "job_failed"  # reason
    NOTE = "note"  # text: retries, quarantined entries, a cluster that died
    LEFT = "left"  # low, high: seconds until the end; jobs_unknown: of which nothing is known
    STOPPING = "stopping"  # by: Ctrl-C or the signal
    END = "end"  # done, failed, blocked: numbers of jobs; seconds; code: the exit code


@dataclass(frozen=True)
class Event:
    """Something that happened, at a Unix time."""

    what: Happening
    time: float
    job: Job | None = None
    said: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        of = {"job": {"key": self.job.key, "kind": self.job.kind, "title": self.job.title}} if self.job else {}
        return {"event": self.what.value, "time": round(self.time, 3), **of, **self.said}


ENDS = {State.DONE: Happening.JOB_DONE, State.FAILED: Happening.JOB_FAILED}
TOLD = ("epoch", "epochs", "loss", "accuracy", "seconds", "ended", "trials", "at_work", "doing")  # of a job's progress


class Changes:
    """What has happened between one snapshot and the next."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._turned = 0
        self._notes = 0
        self._counts: dict[str, int] = {}
        self._said: dict[str, tuple[Any, ...]] = {}
        self._begun: dict[str, float] = {}

    def since(self, snapshot: Snapshot, now: float | None = None) -> Iterator[Event]:
        """The events that a new snapshot tells of; at the first, what was done before is no event."""
        now = time.time() if now is None else now
        first = not self._states
        for note in snapshot.notes[self._notes :]:
            yield Event(Happening.NOTE, now, said={"text": note})
        self._notes = len(snapshot.notes)
        turned = snapshot.states if first else snapshot.turned_since(self._turned)
        self._turned = len(snapshot.turned or ())
        for key in turned:
            state, before = snapshot.states[key], self._states.get(key)
            self._states[key] = state
            if not first and state is not before and (state in ENDS or state is State.RUNNING):
                yield self._event(snapshot, key, state, now)
        if first:
            yield from (self._event(snapshot, key, State.RUNNING, now) for key in snapshot.progress)
        for key, progress in snapshot.progress.items():
            said = {name: progress[name] for name in TOLD if name in progress}
            if self._said.get(key) != (mark := (said.get("epoch"), said.get("ended"), said.get("doing"))) and any(mark):
                self._said[key] = mark
                yield Event(Happening.PROGRESS, now, snapshot.plan.jobs[key], said)
        counts = {state.value: number for state in State if (number := snapshot.count(state))} | {"ready": snapshot.ready}
        if counts != self._counts:
            self._counts = counts
            yield Event(Happening.COUNTS, now, said=counts)

    def _event(self, snapshot: Snapshot, key: str, state: State, now: float) -> Event:
        job = snapshot.plan.jobs[key]
        if state is State.RUNNING:
            self._begun[key] = now
            return Event(Happening.JOB_BEGINS, now, job)
        self._said.pop(key, None)
        if state is State.FAILED:
            return Event(Happening.JOB_FAILED, now, job, {"reason": snapshot.failed.get(key, "")})
        began = self._begun.pop(key, None)
        return Event(Happening.JOB_DONE, now, job, {"seconds": None if began is None else round(now - began, 3)})
