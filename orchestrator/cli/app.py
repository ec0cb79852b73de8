"""The command `kd`: its commands, and how mistakes and failures end."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer

from orchestrator.cli.catalogue import tables
from orchestrator.cli.check import check
from orchestrator.cli.diff import diff
from orchestrator.cli.doctor import doctor
from orchestrator.cli.export import export
from orchestrator.cli.gc import gc
from orchestrator.cli.init import init
from orchestrator.cli.logs import logs
from orchestrator.cli.new import new
from orchestrator.cli.plan import plan
from orchestrator.cli.predict import predict
from orchestrator.cli.probes import probes
from orchestrator.cli.report import report
from orchestrator.cli.run import run
from orchestrator.cli.schema import schema
from orchestrator.cli.show import show
from orchestrator.cli.status import status
from orchestrator.cli.submit import submit
from orchestrator.cli.track import track
from orchestrator.cli.ui import ui
from orchestrator.cli.worker import worker
from orchestrator.jobs.visible import visible

TRACEBACK = "KD_TRACEBACK"
OURS = ("kd_core", "orchestrator")

app = typer.Typer(
    name="kd",
    help="Multi-teacher knowledge distillation: one YAML file in, a table that stands up to review out.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
RUNS = (run, worker, submit, plan, status, logs, show, diff)
RESULTS = (probes, report, export, predict, ui, track)
OWN = (init, new, check, schema, doctor, gc)
for command in (*RUNS, *RESULTS, *OWN):
    app.command()(command)
app.add_typer(tables, name="list")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"kd {version('kd-orchestrator')}")
        except PackageNotFoundError:
            typer.echo("kd, from a checkout that is not installed")
        raise typer.Exit


@app.callback(epilog="Begin with:  kd run experiments/digits.yaml")
def _all(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="The version.")) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kd`; the exit code. 0: done; 1: something failed or was stopped; 2: a mistake of the user, told without a trace."""
    try:
        code = _end(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # kd plan FILE | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _end(arguments: Sequence[str] | None) -> int:
    try:
        Path.cwd()
    except FileNotFoundError:
        print("kd: the folder in which this command is given was removed; go to another one", file=sys.stderr)
        return 2
    try:
        app(args=None if arguments is None else list(arguments), prog_name="kd")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:
        raise
    except Exception as error:
        asked = bool(os.environ.get(TRACEBACK))
        if asked:
            traceback.print_exc()
        if type(error).__module__.partition(".")[0] in OURS:  # an error of our own says all there is to say
            print(visible(str(error)), file=sys.stderr)
            return 2 if isinstance(error, ValueError) else 1
        where = "" if asked else f" ({TRACEBACK}=1 shows where)"
        print(f"kd: {type(error).__name__}: {visible(str(error))}{where}", file=sys.stderr)
        return 1
    return 0
