"""Commands that look at what is there: status, probes, report, ui, track."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, loaded, planned


class Format(enum.StrEnum):
    MD = "md"
    CSV = "csv"
    TEX = "tex"
    HTML = "html"


def status(file: File, store: StoreOption = None, sets: Set = None) -> None:
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

    _, plan, place = planned(file, sets, store)
    show(*view(plan, statuses(plan, place), driver(plan, place)))


def probes(
    file: File,
    store: StoreOption = None,
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
    """
    from orchestrator.cli.views.console import show_report
    from orchestrator.report.data.reading import Reading
    from orchestrator.report.data.results import probes as table_of
    from orchestrator.report.text.terminal import probe_table

    _, plan, place = planned(file, sets, store)
    reading = Reading(plan, place)
    table = table_of(reading)
    if not table.num_rows:
        typer.echo(f"no teacher of {plan.name} has been probed yet", err=True)
        raise typer.Exit(1)
    if arrow:
        from orchestrator.store.arrow import write_table

        write_table(table, arrow)
    if plot:
        from orchestrator.report.figures.plots import heat_map

        heat_map(table, plot)
    show_report(probe_table, reading)


def report(
    file: File,
    store: StoreOption = None,
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

    _, plan, place = planned(file, sets, store)
    reading = Reading(plan, place)
    if out:
        write(reading, format.value, out)
        typer.echo(f"wrote {out}", err=True)
    else:
        typer.echo(render(reading, format.value), nl=False)


def ui(
    file: File,
    store: StoreOption = None,
    sets: Set = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens.")] = 5000,
    host: Annotated[str, typer.Option(metavar="ADDR", help="Listen on this address of the machine.")] = "127.0.0.1",
    insecure: Annotated[bool, typer.Option("--insecure", help="Ask nobody for a password, whoever reaches it.")] = False,
) -> None:
    """Browse the runs in MLflow's own UI.

    It listens on this machine alone; Ctrl-C ends it. With another --host it asks for a password, that of the user admin:
    MLFLOW_AUTH_ADMIN_PASSWORD, and MLFLOW_FLASK_SERVER_SECRET_KEY for its cookies, or files of these names with _FILE.

    \b
    Examples:
      kd ui experiments/digits.yaml
      kd ui experiments/digits.yaml --port 5050
    """
    from orchestrator.cli.serve import serve
    from orchestrator.tracking.ui import ui as interface

    raise typer.Exit(serve(interface(loaded(file, sets, store), port, host, insecure=insecure), port, host))


def track(
    file: File,
    store: StoreOption = None,
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

    spec, plan, place = planned(file, sets, store)
    running = [key for key, found in statuses(plan, place).items() if found.state == State.RUNNING]
    typer.echo(project(spec, plan, place, running=running, rebuild=rebuild))
