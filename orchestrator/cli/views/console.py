"""The terminal: tables, colours where there is one to see them, and durations."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from orchestrator.planning.state import State

LOOKING = 4.0  # a look is not taken again before so many times what it took
WIDE = 1000  # columns where nobody's window limits them: a pipe, a file

STYLES = {
    State.DONE: "green",
    State.RUNNING: "cyan",
    State.WAITING: "",
    State.FAILED: "red",
    State.BLOCKED: "red",
    State.IDLE: "dim",
}


def console(*, stderr: bool = False) -> Console:
    """A console on what standard output (or error) is now."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDE
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def interruptible(stops: Callable[[str], None] = lambda by: None) -> None:
    """SIGTERM, a batch system's way to say Ctrl-C, ends the command as that does; so does SIGHUP of a closed terminal,
    unless it is ignored, as after nohup. What would be written to that terminal goes nowhere. ``stops`` is told at once by
    what the command is ended."""
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the shell sends another one
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in terminals:
                os.dup2(nowhere, stream)
        with contextlib.suppress(RuntimeError):  # the signal came in the middle of a write to the same stream
            stops("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, stop)


def show(*parts: RenderableType) -> None:
    """Print to standard output, without blanks at the ends of lines."""
    out = console()
    if out.is_terminal:
        out.print(*parts, sep="\n")
        return
    sys.stdout.write(rendered(out, *parts))


def rendered(out: Console, *parts: RenderableType) -> str:
    """What would be printed, without blanks at the ends of lines."""
    with out.capture() as captured:
        out.print(*parts, sep="\n")
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def follow(look: Callable[[], tuple[list[RenderableType], bool]], every: float) -> None:
    """Show again and again what is seen, until that says that it changes no more, or Ctrl-C: on a terminal in one place,
    elsewhere anew where it changed. Looks that take long are taken less often."""
    out = console()
    said = ""
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        live = stack.enter_context(Live(console=out, auto_refresh=False)) if out.is_terminal else None
        while True:
            began = time.monotonic()
            parts, goes_on = look()
            if live:
                live.update(Group(*parts), refresh=True)
            elif (text := rendered(out, *parts)) != said:
                sys.stdout.write(f"\n{text}" if said else text)
                sys.stdout.flush()
                said = text
            if not goes_on:
                return
            time.sleep(max(every, LOOKING * (time.monotonic() - began)))


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """While the block runs, say on a terminal what is waited for."""
    err = console(stderr=True)
    with err.status(what) if err.is_terminal else contextlib.nullcontext():
        yield


def table(*columns: str, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Table:
    """A table without lines. Columns in ``right`` hold numbers; those in ``whole`` are never broken over lines."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        whole_lines = name in whole or name in right
        overflow: Literal["ellipsis", "fold"] = "ellipsis" if whole_lines else "fold"
        made.add_column(name, justify="right" if name in right else "left", no_wrap=whole_lines, overflow=overflow)
    return made


def clock(seconds: float) -> str:
    """0:07, 12:40, 1:02:33, 2 d 3 h"""
    whole = max(0, round(seconds))
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, what: str) -> str:
    """1 job, 2 jobs"""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def show_report(render: Callable[..., str], *what: object) -> None:
    """Print what a function of the report makes, as wide and as coloured as the terminal takes it."""
    out = console()
    width = {"width": out.width} if out.is_terminal else {}
    sys.stdout.write(render(*what, color=out.color_system is not None, **width))
