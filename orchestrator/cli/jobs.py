"""The argument JOB, and what a shell completes: jobs of an experiment, and names of the tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestrator.planning.lookup import Lookup


def completed_jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """The jobs of the experiment that was named before, as one word each: ``resnet8/kd/s0``."""
    with contextlib.suppress(Exception):  # a shell's prompt is no place to be told of mistakes
        from orchestrator.cli.options import loaded
        from orchestrator.planning.lookup import words
        from orchestrator.planning.plan import make

        plan = make(loaded(Path(ctx.params["file"]), ctx.params.get("sets"), ctx.params.get("location")))
        return _beginning(incomplete, ("/".join(words(job.title)) for job in plan))
    return []


def completed_from(table: str) -> Any:
    """What completes the names of one of the tables that plugins add to, as METHODS."""

    def complete(incomplete: str) -> list[str]:
        with contextlib.suppress(Exception):
            from kd_core.plugins.tables import TABLES

            return _beginning(incomplete, TABLES[table])
        return []

    return complete


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete.lower())]


Asked = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="Its name as kd plan shows it (resnet8/kd/s0 for resnet8 · kd · s0), or the beginning of its key.",
        show_default=False,
        autocompletion=completed_jobs,
    ),
]


def looked_up(file: Path, sets: list[str] | None, location: str | None) -> Lookup:
    """What finds jobs of an experiment.

    Raises:
        SpecError: with every mistake in the file.
        StoreError: where the store cannot be read.
    """
    from orchestrator.cli.options import planned
    from orchestrator.planning.lookup import Lookup

    _, plan, store = planned(file, sets, location)
    return Lookup(plan, store)
