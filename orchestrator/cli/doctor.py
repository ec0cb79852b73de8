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
    slurm: Annotated[
        list[str] | None,
        typer.Option("--slurm", metavar="PROFILE|FIELD=VALUE", help="Check what Slurm has of this. Repeatable."),
    ] = None,
) -> None:
    """Check what a run needs.

    Versions, devices, the store, Ray, MLflow: each line is ok, or says what to do. Exits with 1 where one is not. With --slurm,
    on a login node: what the site has, and what of that which is asked for it cannot give.

    \b
    Examples:
      kd doctor
      kd doctor experiments/digits.yaml
      kd doctor experiments/digits.yaml --slurm gpu.yaml --slurm time=4:00:00
    \f

    Raises:
        typer.BadParameter: where there is no such file.
        SpecError: with every mistake in it, or in the profile.
        CannotRun: where --slurm is given and there is no Slurm.
        typer.Exit: always; with 1 where a check is not ok.
    """
    from orchestrator.cli.checks import WAITS, bare, begin
    from orchestrator.cli.views.console import show, waiting
    from orchestrator.cli.views.doctor import line

    sound = True
    spec = loaded(existing(file), None, location) if file else bare(location or "kd-store")
    if slurm:
        from orchestrator.cli.slurm import checks

        for check in checks(spec, slurm):
            show(line(check))
            sound &= check.ok
    for name, found in begin(spec).items():
        with waiting(f"{name}: {WAITS[name]}" if name in WAITS else name):
            check = found.result()
        show(line(check))
        sound &= check.ok
    raise typer.Exit(0 if sound else 1)
