"""`kd logs`."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from orchestrator.cli.jobs import Asked, looked_up
from orchestrator.cli.options import File, Set, StoreOption

LOOK_S = 1.0  # between two looks at a log that is followed


def logs(
    file: File,
    job: Asked,
    location: StoreOption = None,
    sets: Set = None,
    all_: Annotated[bool, typer.Option("--all", help="Those of all attempts, not of the last alone.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
) -> None:
    """Show what a job said: its output, its warnings, and why it failed.

    Every attempt at a job has a log in the store, failed ones too; that of a job at work is written every few seconds. Times
    are UTC.

    \b
    Examples:
      kd logs experiments/digits.yaml resnet8/kd/s0
      kd logs experiments/digits.yaml 3f2a09bc --all
      kd logs experiments/digits.yaml resnet20-s0 --follow
    \f

    Raises:
        SpecError: with every mistake in the file.
        NoSuchJob: where no job, or more than one, has that name.
        typer.Exit: with 1 where nothing was kept of the job.
    """
    from orchestrator.cli.views.logs import attempts

    lookup = looked_up(file, sets, location)
    known, store = lookup.find(job), lookup.store
    shown = ""
    while True:
        at_work = follow and bool(store.worker(known))  # before what is shown, which is then all of it
        text = attempts(store.logs(known), store.failure(known), every=all_)
        sys.stdout.write(text.removeprefix(shown) if text.startswith(shown) else text)
        sys.stdout.flush()
        shown = text
        if not at_work:
            break
        time.sleep(LOOK_S)
    if not shown:
        typer.echo(f"Nothing was kept of {known.title}: it has not begun, or was done by an older version.", err=True)
        raise typer.Exit(1)
