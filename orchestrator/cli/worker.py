"""`kd worker`."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, loaded
from orchestrator.cli.stopping import GRACE_S, Grace, ending, leave
from orchestrator.experiment.commands import command


def worker(
    file: File,
    location: StoreOption = None,
    idle: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="End when there was nothing to take for so long; else when nothing is left."
        ),
    ] = None,
    grace: Grace = GRACE_S,
    sets: Set = None,
) -> None:
    """Do ready jobs of an experiment, one after the other, beside other workers.

    Any number of workers, on any machines that see the same store and the same file, make up a run without a head and without
    Ray: each takes what is ready and nobody does. They may come and go and be killed at any time. `kd status` shows them,
    `kd track` writes to MLflow what they did. Exits as `kd run` does: with 0 when nothing is left for it to do, with 1
    when a job failed, with 2 when the file or the machine cannot be used as asked, with 75 when a signal ended it.

    \b
    Examples:
      kd worker experiments/digits.yaml --store /shared/store
      for i in 0 1 2 3; do CUDA_VISIBLE_DEVICES=$i kd worker x.yaml & done; wait
      kd worker x.yaml --store s3://bucket/prefix --idle 600
    \f

    Raises:
        SpecError: with every mistake in the file.
        CannotRun: where the machine cannot be used as asked.
        StoreError: where the store cannot be used.
        typer.Exit: with 1 where a job failed or Ctrl-C ended the worker, with 75 where a signal did, or else with 0.
    """
    from orchestrator import driver
    from orchestrator.cli.screens import screen
    from orchestrator.cli.views.console import clock, show
    from orchestrator.cli.views.outcome import view
    from orchestrator.cli.watching import Watched

    spec = loaded(file, sets, location)
    again = command("worker", file, sets, location)
    watched = Watched(spec, screen())
    with ending(watched, again, grace) as notice:
        idle_s = math.inf if idle is None else idle
        outcome = driver.share(spec, idle_s=idle_s, watch=watched.snapped, waits=watched.waits, notice=notice)
    show(*view(outcome, clock(watched.elapsed)))
    if outcome.stopped:
        leave(again)
    raise typer.Exit(1 if outcome.failed or outcome.blocked else 0)
