"""How `kd run` and `kd worker` end before all is done: by a signal in order, by Ctrl-C at once.

SIGTERM comes before a preemption, at a time limit, at a pod's end; SIGUSR1 is what batch systems are asked to send some time
before that. Both leave ``grace`` seconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from orchestrator.cli.watching import Watched
    from orchestrator.executors.notice import Notice

GRACE_S = 15.0  # Slurm and Kubernetes kill 30 s after SIGTERM, unless told otherwise; a cluster of our own takes some to end
STOPPED = os.EX_TEMPFAIL  # 75: a signal ended it, and the same command goes on

Grace = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="After SIGTERM or SIGUSR1, wait so long for epochs to end."),
]


@contextlib.contextmanager
def ending(watched: Watched, again: str, grace_s: float) -> Iterator[Notice]:
    """What the signals give notice to, while the run is shown. ``again`` is the command that goes on.

    Raises:
        typer.Exit: with 1 after Ctrl-C, with 75 where a signal left too little time for anything.
    """
    from orchestrator.cli.views.console import interruptible
    from orchestrator.executors.notice import Notice

    notice = Notice()

    def told(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, grace_s or 1e-6)
        with contextlib.suppress(RuntimeError):  # it came in the middle of a write to the same stream
            watched.stops(signal.Signals(number).name, grace_s)
        notice.give(signal.Signals(number).name, grace_s)

    def over(number: int, frame: FrameType | None) -> None:
        notice.run_out()

    interruptible(watched.stops)
    before = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGUSR1)}
    signal.signal(signal.SIGALRM, over)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, told)
    try:
        with watched.screen:
            watched.begins()
            yield notice
    except KeyboardInterrupt:
        watched.ends(STOPPED if notice.given else 1)
        if notice.given:
            leave(again)
        typer.echo(f"Stopped. It goes on from here with:  {again}", err=True)
        raise typer.Exit(1) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(again: str) -> NoReturn:
    """Say how to go on, and end.

    Raises:
        typer.Exit: always, with 75.
    """
    typer.echo(f"It goes on from here with:  {again}", err=True)
    raise typer.Exit(STOPPED) from None
