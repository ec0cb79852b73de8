"""`kd run`."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, command, loaded


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
    sets: Set = None,
) -> None:
    """Do what is missing.

    What is half done goes on from its last epoch, what is done is left alone: kill a run anywhere and give the same command
    again. Exits with 0 when all is done, with 1
    when a job failed or the run was stopped, with 2 when the file or the machine cannot be used as asked.

    \b
    Examples:
      kd run experiments/digits.yaml
      kd run experiments/digits.yaml --set data.train_size=400 --set students.seeds=[0,1]
      kd run experiments/digits.yaml --store /shared/store --address 10.0.0.1:6379
    \f

    Raises:
        SpecError: with every mistake in the file.
        CannotRun: where the machine or the cluster cannot be used as asked.
        StoreError: where the store cannot be used, or another run is at work on it.
        typer.Exit: with 1 where a job failed or the run was stopped, or else with 0.
    """
    from orchestrator import driver
    from orchestrator.cli.views.console import show, show_report, terminate_like_ctrl_c
    from orchestrator.cli.views.outcome import view
    from orchestrator.cli.views.run import RunView
    from orchestrator.report.text.terminal import terminal
    from orchestrator.tracking.location import tracking_location

    spec = loaded(file, sets, location)
    terminate_like_ctrl_c()
    try:
        with RunView(spec) as live:
            outcome = driver.run(spec, executor=executor.value, address=address, watch=live)
    except KeyboardInterrupt:
        typer.echo(f"Stopped. It goes on from here with:  {command('run', file, sets, location)}", err=True)
        raise typer.Exit(1) from None
    show_report(terminal, outcome.reading)
    show("", *view(outcome, live.elapsed))
    if spec.tracking.enabled:
        typer.echo(f"Browse the curves:  {command('ui', file, sets, location)}")
        if outcome.store.root is None and not spec.tracking.uri:
            typer.echo(
                f"They are in         {tracking_location(spec, outcome.store).file}, on this machine alone; see `tracking.uri`"
            )
    typer.echo(f"Write a report:     {command('report', file, sets, location)} --format html -o {spec.name}.html")
    raise typer.Exit(1 if outcome.failed or outcome.blocked else 0)
