"""`kd probes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, planned


def probes(
    file: File,
    location: StoreOption = None,
    sets: Set = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT.png", help="Write a heat map of them.")] = None,
    arrow: Annotated[Path | None, typer.Option(metavar="OUT.arrow", help="Write all that was measured, as Arrow.")] = None,
) -> None:
    """Show the probes of every teacher.

    A linear classifier is fitted to every stage of a teacher; the table holds its accuracy on the validation split.

    \b
    Examples:
      kd probes experiments/digits.yaml
      kd probes experiments/digits.yaml --plot probes.png --arrow probes.arrow
    \f

    Raises:
        SpecError: with every mistake in the file.
        typer.Exit: with 1 where no teacher has been probed.
    """
    from orchestrator.cli.views.console import show_report
    from orchestrator.report.data.reading import Reading
    from orchestrator.report.data.results import probes as table_of
    from orchestrator.report.text.terminal import probe_table

    _, plan, store = planned(file, sets, location)
    reading = Reading(plan, store)
    table = table_of(reading)
    if not table.num_rows:
        typer.echo(f"no teacher of {plan.name} has been probed yet", err=True)
        raise typer.Exit(1)
    if arrow:
        from orchestrator.store.arrow import table_bytes
        from orchestrator.store.files import write_output

        write_output(arrow, table_bytes(table))
    if plot:
        from orchestrator.report.figures.plots import heat_map

        heat_map(table, plot)
    show_report(probe_table, reading)
