"""`kd show`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.jobs import Asked, looked_up
from orchestrator.cli.options import File, Set, StoreOption


def show(
    file: File,
    job: Asked,
    location: StoreOption = None,
    sets: Set = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show all that is known of one job.

    What decides its result, what it needs and what needs it, what came out, its files, how long it took, on what, and with
    which versions.

    \b
    Examples:
      kd show experiments/digits.yaml resnet8/kd/s0
      kd show experiments/digits.yaml 3f2a09bc
      kd show experiments/digits.yaml resnet20-s0 --json | jq .results
    \f

    Raises:
        SpecError: with every mistake in the file.
        NoSuchJob: where no job, or more than one, has that name.
    """
    from orchestrator.cli.views.console import show as printed
    from orchestrator.cli.views.show import as_json, view

    lookup = looked_up(file, sets, location)
    known = lookup.find(job)
    if json:
        from json import dumps

        typer.echo(dumps(as_json(known, lookup), indent=2, ensure_ascii=False))
    else:
        printed(*view(known, lookup))
