"""`kd doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import existing, loaded


def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Check the store and the tracking of this experiment.", show_default=False),
    ] = None,
    location: Annotated[str | None, typer.Option("--store", metavar="PLACE", help="Check this store.")] = None,
) -> None:
    """Check what a run needs.

    Versions, devices, the store, Ray, MLflow: each line is ok, or says what to do. Exits with 1 where one is not.

    \b
    Examples:
      kd doctor
      kd doctor experiments/digits.yaml
    \f

    Raises:
        typer.BadParameter: where there is no such file.
        SpecError: with every mistake in it.
        typer.Exit: always; with 1 where a check is not ok.
    """
    from orchestrator.cli.checks import WAITS, bare, begin
    from orchestrator.cli.views.console import show, waiting
    from orchestrator.cli.views.doctor import line

    sound = True
    for name, found in begin(loaded(existing(file), None, location) if file else bare(location or "kd-store")).items():
        with waiting(f"{name}: {WAITS[name]}" if name in WAITS else name):
            check = found.result()
        show(line(check))
        sound &= check.ok
    raise typer.Exit(0 if sound else 1)
