"""`kd submit`."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import Set, StoreOption, existing
from orchestrator.cli.stopping import STOPPED
from orchestrator.experiment.commands import command

if TYPE_CHECKING:
    from orchestrator.executors.ray.submission import Ending, Jobs
    from orchestrator.experiment.spec import Spec

DASHBOARD = "http://127.0.0.1:8265"


def submit(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The experiment's YAML.", show_default=False)] = None,
    address: Annotated[
        str, typer.Option(metavar="URL", envvar="RAY_API_SERVER_ADDRESS", help="The dashboard of the cluster.")
    ] = DASHBOARD,
    location: StoreOption = None,
    sets: Set = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show its output until it ends, or only its id.")] = True,
    follow: Annotated[str | None, typer.Option(metavar="ID", help="Show the output of one sent before.")] = None,
    stop: Annotated[str | None, typer.Option(metavar="ID", help="Stop one sent before, as Ctrl-C does `kd run`.")] = None,
    ca: Annotated[str | None, typer.Option(metavar="FILE", help="Trust these certificates, for https.")] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option("--slurm", metavar="PROFILE|FIELD=VALUE", help="Submit it to Slurm, asking for this. Repeatable."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--slurm-array", min=1, metavar="N", help="Submit N workers to Slurm, without Ray.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
) -> None:
    """Run an experiment on a Ray cluster elsewhere, or on Slurm.

    The file is checked here, and nothing is sent where it has a mistake. Then it goes to the cluster's head with this code and
    the weights that it names, and `kd run` does there what is missing; its output is shown here, and its exit code is ours.
    Ctrl-C leaves it running. A token is taken from RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN.

    With --slurm, from a login node, one batch job is submitted instead, which runs it on all nodes that it asks for, is told of
    its end in time and goes on when it begins again; with --slurm-array, N jobs of an array, each a `kd worker`. What they ask
    for is in a profile (~/.config/kd/slurm.yaml or the one given) and in each FIELD=VALUE.

    \b
    Examples:
      kd submit experiments/digits.yaml --address http://127.0.0.1:8265 --store /shared/store
      kd submit experiments/digits.yaml --store /shared/store --dry-run
      kd submit experiments/digits.yaml --slurm gpu.yaml --slurm time=4:00:00
      kd submit experiments/digits.yaml --slurm-array 8 --slurm partition=gpu --dry-run
      kd submit --follow kd-digits-1a2b3c4d --address http://127.0.0.1:8265
      kd submit --stop kd-digits-1a2b3c4d --address http://127.0.0.1:8265
    \f

    Raises:
        typer.BadParameter: where not one of FILE, --follow and --stop is given, or there is no such file.
        SpecError: with every mistake in the file, and with every path that means nothing on other machines.
        CannotSend: where a link in the code leads out of it.
        CannotRun: where the cluster cannot be used as asked, or has no such job.
        Unreachable: where a job that is to be stopped has not ended in time, or the cluster has gone away.
        typer.Exit: with the exit code of the job's `kd run`; with 1 where it is left running.
    """
    if slurm or workers is not None:
        if file is None or follow or stop:
            raise typer.BadParameter("--slurm and --slurm-array are about a FILE; a job of Slurm is ended by scancel")
        from orchestrator.cli.slurm import send

        send(file, sets, location, slurm or (), workers, dry_run)
        return
    from orchestrator.executors.ray.submission import Jobs, Unreachable

    if sum(given is not None for given in (file, follow, stop)) != 1:
        raise typer.BadParameter("give one of FILE, --follow ID and --stop ID")
    if dry_run:
        if file is None:
            raise typer.BadParameter("--dry-run is about a FILE")
        _show_contents(file, sets, location)
        return
    if stop:
        ending = Jobs(address, ca).stop(stop)
        typer.echo(f"{stop}: {ending.status.lower()}")
        return
    if file:
        from orchestrator.executors.ray.package import checked

        if not existing(file).is_file():
            raise typer.BadParameter(f"{file} cannot be sent: it is no file but a pipe")
        spec = checked(str(file), sets or (), location)
        jobs = Jobs(address, ca)
        follow = _send(jobs, spec, sets, location)
    else:
        jobs = Jobs(address, ca)
    assert follow
    if not wait:
        typer.echo(follow)
        return
    later = [_about("follow", follow, address, ca), _about("stop", follow, address, ca)]
    if file:
        later.append(f"What is done:  {command('status', file, sets, location)}")
        typer.echo(f"Sent as {follow}; Ctrl-C leaves it running.", err=True)
    try:
        ending = jobs.follow(follow, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo("\n".join(["Left running.", *later]), err=True)
        raise typer.Exit(1) from None
    except Unreachable as error:
        typer.echo("\n".join([f"{error}; it may well go on.", *later]), err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(_code(follow, ending))


def _show_contents(file: Path, sets: Sequence[str] | None, location: str | None) -> None:
    """What would be sent; of our own code, which is the same each time, one line for each package."""
    from orchestrator.cli.views.console import show, table
    from orchestrator.cli.views.units import size
    from orchestrator.executors.ray.package import PACKAGES, checked, contents

    _, found = contents(checked(str(existing(file)), sets or (), location))
    sizes = {name: len(what) if isinstance(what, bytes) else what.stat().st_size for name, what in found.items()}
    code = [package.__name__ for package in PACKAGES]
    made = table("what would be sent", "files", "size", right=["files", "size"])
    for package in code:
        own = [number for name, number in sizes.items() if name.startswith(f"{package}/")]
        made.add_row(f"{package}/", str(len(own)), size(sum(own)))
    for name, number in sizes.items():
        if name.partition("/")[0] not in code:
            made.add_row(name, "1", size(number))
    made.add_row("in all", str(len(sizes)), size(sum(sizes.values())))
    show(made)


def _send(jobs: Jobs, spec: Spec, sets: Sequence[str] | None, location: str | None) -> str:
    """Send what the experiment needs. The job's id."""
    from orchestrator.executors.ray.package import pack
    from orchestrator.store.provenance import git_commit

    with tempfile.TemporaryDirectory(prefix="kd-submit-") as folder:
        name = pack(spec, Path(folder))
        words = shlex.split(command("run", Path(name), sets, location))[1:]
        commit = git_commit()
        return jobs.submit(
            Path(folder),
            ["python", "-m", "orchestrator", *words, "--address", "auto"],
            spec.name,
            {"KD_GIT_COMMIT": commit} if commit else {},
        )


def _about(what: str, job: str, address: str, ca: str | None) -> str:
    """A command line about the job, to be typed as it is."""
    words = ["kd", "submit", f"--{what}", job, "--address", address, *(["--ca", ca] if ca else [])]
    return f"{'Its output:' if what == 'follow' else 'Stop it:':<13}  {shlex.join(words)}"


def _code(job: str, ending: Ending) -> int:
    """The exit code of the job's own `kd run`; what Ray has to say where that never ran or was killed."""
    if ending.code is None:
        outcome = "was stopped" if ending.status == "STOPPED" else f"failed: {ending.message.strip()}"
        typer.echo(f"{job} {outcome}", err=True)
    return 1 if ending.code is None or ending.code not in (0, 1, 2, STOPPED) else ending.code
