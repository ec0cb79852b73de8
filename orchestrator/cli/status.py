"""`kd status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, planned

if TYPE_CHECKING:
    from rich.console import RenderableType


def status(
    file: File,
    location: StoreOption = None,
    sets: Set = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until all is done, or Ctrl-C.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, metavar="SECONDS", help="Between two looks.")] = 2.0,
) -> None:
    """Show what is done, running and failed.

    It is read from the store alone, on any machine that sees the store.

    \b
    Examples:
      kd status experiments/digits.yaml
      kd status experiments/digits.yaml --watch
    \f

    Raises:
        SpecError: with every mistake in the file.
        StoreError: where the store cannot be read.
    """
    from orchestrator.cli.views.console import follow, show
    from orchestrator.cli.views.status import view
    from orchestrator.planning.explain import statuses, with_trials
    from orchestrator.planning.presence import run_of, workers_of
    from orchestrator.planning.state import State

    _, plan, store = planned(file, sets, location)

    def look() -> tuple[list[RenderableType], bool]:
        found = with_trials(plan, store, statuses(plan, store))
        left = any(each.state not in (State.DONE, State.IDLE) for each in found.values())
        return list(view(plan, found, run_of(plan.name, store), workers_of(plan.name, store))), left

    if watch:
        follow(look, every)
    else:
        show(*look()[0])
