"""`kd run`."""

from __future__ import annotations

import enum
import time
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, loaded
from orchestrator.cli.stopping import GRACE_S, STOPPED, Grace, ending, leave
from orchestrator.experiment.commands import command

if TYPE_CHECKING:
    from orchestrator.experiment.spec import Spec
    from orchestrator.outcome import Outcome


class ExecutorName(enum.StrEnum):
    RAY = "ray"
    INLINE = "inline"


def run(
    file: File,
    location: StoreOption = None,
    executor: Annotated[ExecutorName, typer.Option(help="ray: in parallel; inline: in this process, one by one.")] = (
        ExecutorName.RAY
    ),
    address: Annotated[str | None, typer.Option(metavar="ADDR", help="Join this Ray cluster; else a private one.")] = None,
    nodes: Annotated[int, typer.Option(min=1, metavar="N", help="Wait for so many nodes of it, for two minutes at most.")] = 1,
    grace: Grace = GRACE_S,
    sets: Set = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what failed, and how it ended.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Events for programs, a JSON object a line: docs/events.md.")] = False,
) -> None:
    """Do what is missing.

    What is half done goes on from its last epoch, what is done is left alone: kill a run anywhere and give the same command
    again. On SIGTERM or SIGUSR1 nothing more is begun, and what is at work may come to the end of its epoch, within --grace.
    Exits with 0 when all is done, with 1 when a job failed or Ctrl-C ended it, with 2 when the file or the machine cannot be
    used as asked, with 75 when a signal ended it and the same command goes on.

    \b
    Examples:
      kd run experiments/digits.yaml
      kd run experiments/digits.yaml --set data.train_size=400 --set students.seeds=[0,1]
      kd run experiments/digits.yaml --store /shared/store --address 10.0.0.1:6379
      kd run experiments/digits.yaml --json | jq -c 'select(.event == "job_failed")'
    \f

    Raises:
        SpecError: with every mistake in the file.
        CannotRun: where the machine or the cluster cannot be used as asked.
        StoreError: where the store cannot be used, or another run is at work on it.
        typer.Exit: with 1 where a job failed or Ctrl-C ended the run, with 75 where a signal did, or else with 0.
    """
    began = time.monotonic()
    if json:
        print(dumps({"event": "wait", "time": round(time.time(), 3), "for": f"reading {file}"}), flush=True)
    elif not quiet:
        typer.echo(f"Reading {file} …", err=True)
    from orchestrator.cli.screens import screen
    from orchestrator.cli.watching import Watched

    spec, again = loaded(file, sets, location), command("run", file, sets, location)
    watched = Watched(spec, screen(quiet=quiet, json=json), began)
    with ending(watched, again, grace) as notice:
        from orchestrator import driver

        outcome = driver.run(
            spec,
            executor=executor.value,
            address=address,
            nodes=nodes,
            watch=watched.snapped,
            waits=watched.waits,
            notice=notice,
        )
    code = STOPPED if outcome.stopped else 1 if outcome.failed or outcome.blocked else 0
    if json:
        said = {"computed": outcome.computed, "failed": len(outcome.failed), "blocked": len(outcome.blocked)}
        watched.ends(code, **said)
    else:
        tell(outcome, watched.elapsed, quiet=quiet)
    if outcome.stopped:
        leave(again)
    if not (json or quiet):
        what_next(outcome, spec, file, sets, location)
    raise typer.Exit(code)


def tell(outcome: Outcome, elapsed: float, *, quiet: bool) -> None:
    """How a run ended and, unless ``quiet`` or stopped, its tables."""
    from orchestrator.cli.views.console import clock, show, show_report
    from orchestrator.cli.views.outcome import view
    from orchestrator.report.text.terminal import terminal

    if not (quiet or outcome.stopped):
        show_report(terminal, outcome.reading)
    show(*([] if quiet else [""]), *view(outcome, clock(elapsed)))


def what_next(outcome: Outcome, spec: Spec, file: Path, sets: list[str] | None, location: str | None) -> None:
    """What can be typed now."""
    from orchestrator.tracking.location import tracking_location

    if spec.tracking.enabled:
        typer.echo(f"Browse the curves:  {command('ui', file, sets, location)}")
        if outcome.store.root is None and not spec.tracking.uri:
            typer.echo(
                f"They are in         {tracking_location(spec, outcome.store).file}, on this machine alone; see `tracking.uri`"
            )
    typer.echo(f"Write a report:     {command('report', file, sets, location)} --format html -o {spec.name}.html")
