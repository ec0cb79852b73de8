"""`kd diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.jobs import Asked, completed_jobs, looked_up
from orchestrator.cli.options import File, Set, StoreOption, existing

Second = Annotated[
    str | None,
    typer.Argument(metavar="JOB", help="The other one.", show_default=False, autocompletion=completed_jobs),
]
Other = Annotated[
    Path | None,
    typer.Option("--with", metavar="FILE", help="The other job is of this experiment; of the same name, if none is given."),
]


def diff(
    file: File, first: Asked, second: Second = None, other: Other = None, location: StoreOption = None, sets: Set = None
) -> None:
    """Show why two jobs are not the same.

    Which settings differ, of the jobs themselves and of all that they need; what two jobs have in common is not told.

    \b
    Examples:
      kd diff experiments/digits.yaml resnet8/kd/s0 resnet8/gpac/s0
      kd diff experiments/digits.yaml resnet8/kd/s0 3f2a09bc
      kd diff old.yaml resnet8/kd/s0 --with new.yaml
    \f

    Raises:
        SpecError: with every mistake in a file.
        NoSuchJob: where no job, or more than one, has a name.
        typer.BadParameter: where there is no second job.
    """
    from orchestrator.cli.views.console import show
    from orchestrator.cli.views.diff import view
    from orchestrator.planning.differences import Comparison

    if second is None and other is None:
        raise typer.BadParameter("name the other job, or with --with another experiment that has a job of the same name")
    firsts = looked_up(file, sets, location)
    seconds = looked_up(existing(other), None, location) if other else firsts
    ours, theirs = firsts.find(first), seconds.find(second or first)
    show(*view(ours, theirs, Comparison(firsts, seconds)))
