"""`kd track`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, planned


def track(
    file: File,
    location: StoreOption = None,
    sets: Set = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Delete the experiment's runs and write all of them.")] = False,
) -> None:
    """Write to MLflow what it has missed.

    MLflow mirrors the store: one run for each job, whatever was killed and repeated.

    \b
    Examples:
      kd track experiments/digits.yaml
      kd track experiments/digits.yaml --set tracking.uri=http://127.0.0.1:5000
      kd track experiments/digits.yaml --rebuild
    """
    from orchestrator.planning.explain import statuses
    from orchestrator.planning.state import State
    from orchestrator.tracking.projection import project

    spec, plan, store = planned(file, sets, location)
    running = [key for key, found in statuses(plan, store).items() if found.state == State.RUNNING]
    typer.echo(project(spec, plan, store, running=running, rebuild=rebuild))
