"""A run where there is no terminal: plain lines, JSON, or next to nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from orchestrator.cli.events import Event, Happening
from orchestrator.cli.views.console import clock
from orchestrator.cli.views.progress import SHOWN, at, running, tally
from orchestrator.cli.views.run import described
from orchestrator.cli.watching import Watched
from orchestrator.planning.snapshot import Snapshot

LINE_S = 3.0  # between two plain lines where jobs begin and end,
QUIET_S = 30.0  # and where they only go on
AT_ONCE = (Happening.JOB_FAILED, Happening.NOTE)


class Lines:
    """A line for what is waited for, what fails and is noted, and now and then how things are."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self._said = float("-inf")
        self._counts: list[int] = []

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is to be put back."""

    def tell(self, run: Watched, events: Sequence[Event]) -> None:
        for event in events:
            if event.what is Happening.WAIT:
                if not str(event.said["for"]).startswith(self._verb):
                    self._line(run, f"{event.said['for']} …")
                self._verb = str(event.said["for"]).split(" (")[0]
            elif event.what is Happening.STOPPING:
                self._line(run, run.stopping)
            elif event.what in AT_ONCE:
                self._line(run, described(event))
        if run.snapshot and not run.stopping:
            self._now_and_then(run, run.snapshot)

    _verb = "\0"  # of the last wait: one that only counts on is not said again

    def _now_and_then(self, run: Watched, snapshot: Snapshot) -> None:
        """How things are, where something changed and the last such line is not of just now."""
        counts, now = [snapshot.count(state) for state in SHOWN], time.monotonic()
        since = now - self._said
        if since >= QUIET_S or (counts != self._counts and since >= LINE_S):
            self._said, self._counts = now, counts
            left = f"{run.left} left" if run.left else ""
            jobs = (f"{job.title} {at(job, progress)}" for job, progress in running(snapshot))
            self._line(run, "; ".join(filter(None, (tally(snapshot).plain, left, *jobs))))

    def _line(self, run: Watched, text: str) -> None:
        self.out.print(f"[{clock(run.elapsed)}] {text}", soft_wrap=True)


class JsonLines:
    """A JSON object on standard output for each event, in one line, at once."""

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is to be put back."""

    def tell(self, run: Watched, events: Sequence[Event]) -> None:
        for event in events:
            write(event)


def write(event: Event) -> None:
    """An event on standard output."""
    sys.stdout.write(f"{json.dumps(event.plain(), ensure_ascii=False)}\n")
    sys.stdout.flush()


class Quiet:
    """Nothing."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is to be put back."""

    def tell(self, run: Watched, events: Sequence[Event]) -> None:
        """Nobody wants to know."""
