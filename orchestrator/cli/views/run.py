"""The live view of a run: on a terminal a picture that moves, elsewhere a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.console import STYLES, clock, console, table
from orchestrator.experiment.spec import Spec
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.estimate import Estimate, Estimator, epochs_left
from orchestrator.planning.schedule import this_machine
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store

ESTIMATE_S = 2.0  # between two estimates of the time left
LINE_S = 3.0  # between two plain lines where jobs begin and end,
QUIET_S = 30.0  # and where they only go on
SHOWN = (State.DONE, State.RUNNING, State.WAITING, State.FAILED, State.BLOCKED)


class RunView:
    """Shows the snapshots of a run; a context manager around it, and its watch."""

    def __init__(self, spec: Spec, out: Console | None = None) -> None:
        self.out = out or console(stderr=True)
        self.store = Store(spec.store)
        self.estimator = Estimator(spec.resources)
        self.began = time.monotonic()
        self.snapshot: Snapshot | None = None
        self.estimate: Estimate | None = None
        self._estimated = float("-inf")
        self._learnt: set[str] = set()
        self._said = float("-inf")
        self._counts: list[int] = []
        self._live = Live(get_renderable=self.render, console=self.out, refresh_per_second=4, transient=True)

    def __enter__(self) -> RunView:
        if self.out.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.out.is_terminal:
            self._live.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        self._learn(snapshot)
        self.snapshot = snapshot
        now = time.monotonic()
        if now - self._estimated >= ESTIMATE_S:
            self._estimated = now
            missing = [job for job in snapshot.plan if snapshot.states[job.key] in (State.RUNNING, State.WAITING)]
            self.estimate = self.estimator.estimate(snapshot.plan, missing, snapshot.progress, this_machine())
        if not self.out.is_terminal:
            self._say(snapshot, now)

    def render(self) -> RenderableType:
        """The picture of now."""
        if self.snapshot is None:
            return Text(f"Looking at the store and starting … {self.elapsed}", style="dim")
        rows = max(1, self.out.height - 5)
        return Group(*picture(self.snapshot, self.estimate, self.elapsed, rows))

    @property
    def elapsed(self) -> str:
        return clock(time.monotonic() - self.began)

    def _learn(self, snapshot: Snapshot) -> None:
        """Durations: of the whole store at the first call, later of the jobs that were done since."""
        done = {key for key, state in snapshot.states.items() if state == State.DONE}
        if self.snapshot is None:
            self.estimator.learn_all(self.store)
        else:
            for key in done - self._learnt:
                job = snapshot.plan.jobs[key]
                try:
                    self.estimator.learn(self.store.entry(job.kind, key))
                except (KeyError, CorruptEntry):
                    continue
        self._learnt = done

    def _say(self, snapshot: Snapshot, now: float) -> None:
        """A line, where something changed and the last line is not of just now."""
        counts = [snapshot.count(state) for state in SHOWN]
        since = now - self._said
        if since >= QUIET_S or (counts != self._counts and since >= LINE_S):
            self._said, self._counts = now, counts
            parts = [
                tally(snapshot).plain,
                left(self.estimate),
                *(f"{job.title} {at(job, progress)}" for job, progress in running(snapshot)),
            ]
            self.out.print(f"[{self.elapsed}] {'; '.join(part for part in parts if part)}", soft_wrap=True)


def picture(snapshot: Snapshot, estimate: Estimate | None, elapsed: str, rows: int) -> Iterator[RenderableType]:
    """The overall bar, the tally, and at most ``rows`` running jobs."""
    top = Table.grid(padding=(0, 2, 0, 0))
    top.add_column(no_wrap=True)
    top.add_row(Text(snapshot.plan.name, style="bold"), ProgressBar(100, 100 * fraction_done(snapshot), width=24), elapsed)
    yield top
    yield Text("; ").join(filter(None, (tally(snapshot), Text(left(estimate)))))
    jobs = list(running(snapshot))
    made = table("running", "done", "accuracy", "left", right=["done", "accuracy", "left"], whole=["running"])
    for job, progress in jobs[:rows]:
        made.add_row(job.title, *cells(job, progress))
    if jobs:
        yield made
    if len(jobs) > rows:
        yield Text(f"and {len(jobs) - rows} more", style="dim")


def running(snapshot: Snapshot) -> Iterator[tuple[Job, dict[str, Any]]]:
    """The jobs at work, and what they last said."""
    for job in snapshot.plan:
        if snapshot.states[job.key] == State.RUNNING:
            yield job, snapshot.progress.get(job.key, {})


def fraction_done(snapshot: Snapshot) -> float:
    """The part of the jobs that is done, in [0, 1]; half of a job's epochs, or of a search's trials, is half a job."""
    wanted = sum(state != State.IDLE for state in snapshot.states.values())
    parts = sum(part(job, progress) for job, progress in running(snapshot))
    return (snapshot.count(State.DONE) + parts) / wanted if wanted else 1.0


def part(job: Job, progress: dict[str, Any]) -> float:
    """How much of a running job is done, in [0, 1]."""
    if KINDS[job.kind].of_trials:
        return progress.get("ended", 0) / progress["trials"] if "trials" in progress else 0.0
    return progress.get("epoch", 0) / job.epochs if job.epochs else 0.0


def tally(snapshot: Snapshot) -> Text:
    """3 done, 2 running, 5 waiting"""
    parts = [Text(f"{snapshot.count(state)} {state}", style=STYLES[state]) for state in SHOWN if snapshot.count(state)]
    return Text(", ").join(parts)


def left(estimate: Estimate | None) -> str:
    """about 2:10 left; at least so much, where some jobs cannot be told yet."""
    if estimate is None or estimate.total < 1:
        return ""
    return f"{'at least' if estimate.unknown else 'about'} {clock(estimate.total)} left"


def cells(job: Job, progress: Mapping[str, Any]) -> tuple[str, str, str]:
    """Epochs or trials, accuracy (of a search the best so far) and time left of a running job, as far as it has said them."""
    accuracy = f"{100 * progress['accuracy']:.1f} %" if "accuracy" in progress else ""
    if KINDS[job.kind].of_trials:
        done, rest = (
            (f"{progress.get('ended', 0)}/{progress['trials']} trials" if "trials" in progress else ""),
            trials_left(progress),
        )
    elif job.epochs:
        done, rest = f"{progress.get('epoch', 0)}/{job.epochs}", epochs_left(job, progress)
    else:
        return "", "", ""
    return done, accuracy, "" if rest is None else clock(rest)


def trials_left(progress: Mapping[str, Any]) -> float | None:
    """Seconds until a search's trials have ended, from the mean duration of those that have and how many run at once; None
    before there is one. A trial at work counts as half done, and for what has gone by since the search last said something."""
    if "trial_seconds" not in progress:
        return None
    at_work, since = progress["at_work"], max(0.0, time.time() - progress["updated"])
    open_ = max(0.0, progress["trials"] - progress["ended"] - at_work / 2)
    each = progress["trial_seconds"] / max(1, at_work)
    return float(open_ * each - min(since, each))


def at(job: Job, progress: dict[str, object]) -> str:
    """4/20 91.2 %"""
    done, accuracy, _ = cells(job, progress)
    return " ".join(filter(None, (done, accuracy))) or "…"
