"""`kd status`."""

from __future__ import annotations

from orchestrator.cli.options import File, Set, StoreOption, planned


def status(file: File, location: StoreOption = None, sets: Set = None) -> None:
    """Show what is done, running and failed.

    It is read from the store alone, on any machine that sees the store.

    \b
    Examples:
      kd status experiments/digits.yaml
      watch -n 5 kd status experiments/digits.yaml
    """
    from orchestrator.cli.views.console import show
    from orchestrator.cli.views.status import view
    from orchestrator.planning.explain import statuses
    from orchestrator.planning.state import driver

    _, plan, store = planned(file, sets, location)
    show(*view(plan, statuses(plan, store), driver(plan, store)))
