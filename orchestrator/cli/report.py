"""`kd report`."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, planned


class Format(enum.StrEnum):
    MD = "md"
    CSV = "csv"
    TEX = "tex"
    HTML = "html"


def report(
    file: File,
    location: StoreOption = None,
    sets: Set = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="csv has a row per student.")] = Format.MD,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="OUT", help="Write here, not to the terminal.")] = None,
) -> None:
    """Make the report.

    From the store alone: mean ± standard deviation over seeds, paired tests, probes, and what is missing.

    \b
    Examples:
      kd report experiments/digits.yaml
      kd report experiments/digits.yaml --format html -o digits.html
      kd report experiments/digits.yaml --format csv | column -s, -t
    """
    from orchestrator.report.data.reading import Reading
    from orchestrator.report.text.render import render, write

    _, plan, store = planned(file, sets, location)
    reading = Reading(plan, store)
    if out:
        write(reading, format.value, out)
        typer.echo(f"wrote {out}", err=True)
    else:
        typer.echo(render(reading, format.value), nl=False)
