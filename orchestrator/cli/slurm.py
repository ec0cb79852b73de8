"""`kd submit --slurm`, one batch job or an array of workers, and `kd doctor --slurm`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from orchestrator.cli.checks import Check
from orchestrator.cli.options import existing
from orchestrator.experiment.commands import command
from orchestrator.experiment.spec import Spec


def send(
    file: Path,
    sets: Sequence[str] | None,
    location: str | None,
    asked: Sequence[str],
    workers: int | None,
    dry_run: bool,
) -> None:
    """Submit an experiment to Slurm, or show what would be.

    Raises:
        SpecError: with every mistake in the file or in the profile.
        StoreError: where the store cannot be used from here.
        CannotRun: where Slurm is not there or refuses it.
    """
    from orchestrator.executors.slurm import commands
    from orchestrator.executors.slurm.profile import profile_of
    from orchestrator.executors.slurm.script import output, script
    from orchestrator.experiment.load import load
    from orchestrator.store.store import Store

    profile = profile_of(asked)
    spec = load(str(existing(file)), sets or (), location)
    store = Store(spec.store)
    if not dry_run:
        store.prepare()
    identity = "IDENTITY" if dry_run else store.identity()
    name = "run" if workers is None else "worker"
    words = shlex.split(command(name, file, sets, location))[1:]
    words += ["--idle", str(profile.idle)] if workers is not None else []
    made = script(spec.name, profile, words, store.location, identity, workers)
    if dry_run:
        typer.echo(made, nl=False)
        return
    folder = Path(profile.output)
    folder.mkdir(parents=True, exist_ok=True)  # Slurm makes none, and says nothing
    job = commands.submit(made)
    printed = output(spec.name, profile, workers).replace("%A", job).replace("%j", job).replace("%a", "*")
    typer.echo(job)
    typer.echo(f"Its output:    {printed}", err=True)
    typer.echo(f"Its place:     squeue -j {job}", err=True)
    typer.echo(f"What is done:  {command('status', file, sets, location)}", err=True)
    typer.echo(f"End it:        scancel {job}", err=True)


def checks(spec: Spec, asked: Sequence[str]) -> Iterator[Check]:
    """What the site has, and whether it can give what the profile asks for and the experiment needs.

    Raises:
        SpecError: with every mistake in the profile.
        CannotRun: where there is no Slurm here, or it does not answer.
    """
    from orchestrator.executors.slurm.profile import profile_of
    from orchestrator.executors.slurm.site import nodes, problems, too_little

    profile, site = profile_of(asked), nodes()
    yield Check("slurm", bool(site), "; ".join(map(str, site)) or "it shows no partition", "ask the site which you may use")
    resources = spec.resources
    allocations = {"teacher": resources.teacher, "student": resources.student} if spec.students or spec.teachers else {}
    found = [*problems(profile, site), *too_little(profile, allocations)]
    yield Check("profile", not found, "; ".join(found) or "the site has what it asks for", "change the profile, or `resources`")
