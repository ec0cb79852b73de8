"""`kd report`."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, existing, planned


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
    compare: Annotated[Path | None, typer.Option(metavar="OTHER", help="Another experiment, side by side.")] = None,
    compare_store: Annotated[str | None, typer.Option(metavar="PLACE", help="The store of the other one.")] = None,
    template: Annotated[Path | None, typer.Option(metavar="FILE.j2", help="Lay it out by this Jinja template.")] = None,
    figures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write its figures there, as PDF and PNG.")] = None,
) -> None:
    """Make the report.

    From the store alone: mean ± standard deviation over seeds, paired tests, probes, and what is missing.

    \b
    Examples:
      kd report experiments/digits.yaml
      kd report experiments/digits.yaml --format html -o digits.html
      kd report experiments/digits.yaml --format csv | column -s, -t
      kd report experiments/digits.yaml --format tex -o tables.tex --figures figures
      kd report experiments/digits.yaml --compare experiments/other.yaml
    \f

    Raises:
        SpecError: with every mistake in a file.
        typer.BadParameter: where there is no such template.
        TemplateError: where the template is of no use.
    """
    from orchestrator.report.data.reading import Reading
    from orchestrator.report.text.origin import Origin
    from orchestrator.report.text.render import render, write_figures
    from orchestrator.store.files import write_output

    spec, plan, store = planned(file, sets, location)
    if template and not template.is_file():
        raise typer.BadParameter(f"{template} does not exist", param_hint="--template")
    reading = Reading(plan, store)
    other = None
    if compare:
        _, other_plan, other_store = planned(existing(compare), None, compare_store)
        other = Reading(other_plan, other_store)
    text = render(reading, format.value, Origin.of(spec), other, template)
    if out:
        write_output(out, text.encode())
        typer.echo(f"wrote {out}", err=True)
    else:
        typer.echo(text, nl=False)
    if figures:
        written = write_figures(reading, figures)
        typer.echo(f"wrote {len(written)} files to {figures}", err=True)
