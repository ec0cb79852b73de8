"""A run as it is watched: what it waits for, its last snapshot, what happened last and how much time is left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from orchestrator.cli.events import Changes, Event, Happening
from orchestrator.cli.time_left import Left, Lost, TimeLeft
from orchestrator.experiment.spec import Spec
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.estimate import Estimator, pace
from orchestrator.planning.schedule import Machine, finish, this_machine
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store

ESTIMATE_S = 2.0  # between two estimates of the time left
ESTIMATING = 20.0  # and no more than this part of the time goes into them: one of 20
RECENT = 50  # events that are remembered


class Screen(Protocol):
    """Where a run is shown."""

    def __enter__(self) -> Screen: ...

    def __exit__(self, *error: object) -> None: ...

    def tell(self, run: Watched, events: Sequence[Event]) -> None:
        """Something may have happened; ``events`` may be empty."""


class Watched:
    """Listens to a run, by :meth:`snapped`, :meth:`waits` and :meth:`stops`, and has a screen tell of it. ``began``: by the
    monotonic clock, where that was before now."""

    def __init__(self, spec: Spec, screen: Screen, began: float | None = None) -> None:
        self.spec = spec
        self.screen = screen
        self.store = Store(spec.store)
        self.estimator = Estimator(spec.resources)
        self.began = time.monotonic() if began is None else began
        self.snapshot: Snapshot | None = None
        self.waiting = ""  # what for
        self.waiting_since = self.began
        self.stopping = ""  # by what, and how
        self.recent: deque[tuple[float, Event]] = deque(maxlen=RECENT)  # with the seconds since the run began
        self._left = TimeLeft()
        self._lost = Lost()
        self._spent: dict[str, float] = {}  # seconds of the jobs that were done in this run
        self._changes = Changes()
        self._next_estimate = float("-inf")
        self._learnt: set[str] = set()
        self._turned = 0
        self._told_left: Left | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    @property
    def left(self) -> Left | None:
        """The time that is left now; None where nothing is known of it, or no job is left."""
        at_work = self.snapshot and (self.snapshot.count(State.RUNNING) or self.snapshot.count(State.WAITING))
        return self._left.now(time.monotonic()) if at_work else None

    def begins(self) -> None:
        """The experiment was read."""
        self._tell(Happening.BEGIN, name=self.spec.name, file=self.spec.file, store=self.store.location)

    def waits(self, what: str) -> None:
        """The run waits for this; for nothing any more, where it is empty."""
        if what != self.waiting:
            self.waiting, self.waiting_since = what, time.monotonic()
            if not what:
                self._lost.opened(self.waiting_since)
            if what:
                self._tell(Happening.WAIT, **{"for": what})

    def stops(self, by: str, grace_s: float = 0.0) -> None:
        """Somebody wants the run to end, at once or within so many seconds."""
        how = f"what comes to the end of its epoch within {grace_s:g} s is waited for" if grace_s else "workers are ended"
        self.stopping = f"Stopping ({by}): {how}; what is half done goes on from its last epoch next time"
        self._tell(Happening.STOPPING, by=by)

    def ends(self, code: int, **said: Any) -> None:
        """It has ended."""
        self._tell(Happening.END, code=code, seconds=round(self.elapsed, 3), **said)

    def snapped(self, snapshot: Snapshot) -> None:
        """The run is as the snapshot says."""
        self._learn(snapshot)
        events = list(self._changes.since(snapshot))
        self.snapshot = snapshot
        if self._spent or any("seconds" in said for said in snapshot.progress.values()):
            self._lost.heard(time.monotonic())
        if snapshot.states and not self._next_estimate > time.monotonic():
            events += self._estimated(snapshot)
        self._take(events)

    def _tell(self, what: Happening, **said: Any) -> None:
        self._take([Event(what, time.time(), said=said)])

    def _take(self, events: Sequence[Event]) -> None:
        self.recent.extend((self.elapsed, event) for event in events)
        self.screen.tell(self, events)

    def _estimated(self, snapshot: Snapshot) -> list[Event]:
        began = time.monotonic()
        missing = [job for job in snapshot.plan if snapshot.states[job.key] in (State.RUNNING, State.WAITING)]
        machine = snapshot.machine or this_machine()
        found = self.estimator.estimate(snapshot.plan, missing, snapshot.progress, machine)
        now = time.monotonic()
        if not found.known or not missing:
            self._next_estimate = now + max(ESTIMATE_S, ESTIMATING * (now - began))
            return []
        start = self._lost.start if self._starts_ahead(snapshot) else 0.0
        high = found.high * self._lost.factor(self._ideal(snapshot, machine), now)
        self._left.estimated(found.low + start / 2, high + start, found.unknown, now)
        self._next_estimate = now + max(ESTIMATE_S, ESTIMATING * (time.monotonic() - began))
        left = self.left
        if not left or str(left) == str(self._told_left):
            return []
        self._told_left = left
        said = {"low": round(left.low), "high": None if left.unknown else round(left.high), "jobs_unknown": left.unknown}
        return [Event(Happening.LEFT, time.time(), said=said)]

    def _ideal(self, snapshot: Snapshot, machine: Machine) -> float:
        """Seconds in which what was done in this run could have been, had no process had to start."""
        spent = dict(self._spent)
        for key, said in snapshot.progress.items():
            spent[key] = said.get("epoch", 0) * pace(said) if "seconds" in said else 0.0
        jobs = [snapshot.plan.jobs[key] for key in spent]
        return finish(jobs, spent, self.estimator.allocation, machine)

    def _starts_ahead(self, snapshot: Snapshot) -> bool:
        """Whether workers must start yet for what waits: students and searches have others than what comes before them."""
        begun = {KINDS[snapshot.plan.jobs[key].kind].dispatched for key in (*self._spent, *snapshot.progress)}
        return any(KINDS[job.kind].dispatched not in begun for job in snapshot.waiting_like)

    def _learn(self, snapshot: Snapshot) -> None:
        """Durations: of the whole store at the first call, later of the jobs that were done since."""
        if self.snapshot is None:
            self.estimator.learn_all(self.store)
            self._learnt = {key for key, state in snapshot.states.items() if state == State.DONE}
        else:
            done = [key for key in snapshot.turned_since(self._turned) if snapshot.states[key] == State.DONE]
            for key in set(done) - self._learnt:
                self._learnt.add(key)
                job = snapshot.plan.jobs[key]
                try:
                    entry = self.store.entry(job.kind, key)
                except (KeyError, CorruptEntry):
                    continue
                self.estimator.learn(entry)
                self._spent[key] = entry.manifest["seconds"]
        self._turned = len(snapshot.turned or ())
