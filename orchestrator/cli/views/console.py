"""The terminal: tables, colours where there is one to see them, and durations."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Literal

from rich.console import Console, RenderableType
from rich.table import Table

from orchestrator.planning.state import State

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


def terminate_like_ctrl_c() -> None:
    """SIGTERM, a batch system's way to say Ctrl-C, ends the command as that does; so does SIGHUP of a closed terminal,
    unless it is ignored, as after nohup. What would be written to that terminal goes nowhere."""
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def hung_up(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the shell sends another one
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in terminals:
            os.dup2(nowhere, stream)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hung_up)


def show(*parts: RenderableType) -> None:
    """Print to standard output, without blanks at the ends of lines."""
    out = console()
    if out.is_terminal:
        out.print(*parts, sep="\n")
        return
    with out.capture() as captured:
        out.print(*parts, sep="\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


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
