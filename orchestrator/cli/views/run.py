"""The live view of a run: a picture that moves, on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.events import Event, Happening
from orchestrator.cli.views.console import clock, table
from orchestrator.cli.views.progress import COLUMNS, fraction_done, rows, running, tally, why_no_more
from orchestrator.cli.watching import Watched
from orchestrator.jobs.visible import visible

HEAD = 5  # lines above the jobs at work: bar, tally, resources, what is waited for, header
RECENT = 4  # events below them
STYLES = {Happening.JOB_DONE: "green", Happening.JOB_FAILED: "red", Happening.NOTE: "yellow"}  # of those that are shown


class Picture:
    """Draws a run on a terminal, four times a second."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self._run: Watched | None = None
        self._live = Live(get_renderable=self.render, console=out, refresh_per_second=4, transient=True)

    def __enter__(self) -> Picture:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def tell(self, run: Watched, events: Sequence[Event]) -> None:
        self._run = run

    def render(self) -> RenderableType:
        """The picture of now."""
        return Group(*picture(self._run, self.out.height - 1)) if self._run else Text()


def picture(run: Watched, height: int) -> Iterator[RenderableType]:
    """The bar with the time, the tally, what is in use and waited for, the jobs at work and the last events, in at most
    ``height`` lines."""
    snapshot = run.snapshot
    top = Table.grid(padding=(0, 2, 0, 0))
    top.add_column(no_wrap=True)
    left = f"{run.left} left" if run.left and not run.stopping else ""
    top.add_row(
        Text(run.spec.name, style="bold"),
        ProgressBar(100, 100 * fraction_done(snapshot) if snapshot else 0, width=24),
        clock(run.elapsed),
        left,
    )
    yield top
    if run.stopping:
        yield _line(run.stopping, style="yellow")
    elif run.waiting:
        yield _line(f"{run.waiting} … {clock(time.monotonic() - run.waiting_since)}", style="dim")
    if not snapshot:
        return
    yield tally(snapshot)
    if not run.stopping and (why := why_no_more(snapshot, run.spec.resources)):
        yield _line(why, style="dim")
    jobs = list(running(snapshot))
    events = _events(run)[-RECENT:] if height > 2 * HEAD else []
    most = max(1, height - HEAD - len(events))
    made = table(*COLUMNS, right=COLUMNS[1:], whole=COLUMNS[:1])
    lines = [row for job, progress in jobs for row in rows(job, progress)]
    for row in lines[:most]:
        made.add_row(*row)
    if jobs:
        yield made
    if len(lines) > most:
        yield _line(f"and {len(lines) - most} more", style="dim")
    yield from events


def _events(run: Watched) -> list[Text]:
    return [
        _line(f"{clock(at)}  {described(event)}", style=STYLES[event.what]) for at, event in run.recent if event.what in STYLES
    ]


def described(event: Event) -> str:
    """An event of those that are shown, in one line."""
    said = event.said
    if event.job is None:
        return visible(str(said["text"])).replace("\n", " ")
    if event.what is Happening.JOB_FAILED:
        return f"failed: {event.job.title}: {visible(said['reason'])}".replace("\n", " ")
    return f"done: {event.job.title}" + (f" in {clock(said['seconds'])}" if said["seconds"] else "")


def _line(text: str, style: str) -> Text:
    """A text that is cut where the window ends."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
