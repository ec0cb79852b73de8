"""Slurm's own commands, and ours as Slurm is to run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orchestrator
from orchestrator.executors.executor import CannotRun

OTHERWISE = {"time": "TIMELIMIT", "array": "ARRAY_INX", "mem": "MEM_PER_NODE"}  # options whose variables have other names
ANSWER_S = 60.0  # a controller that is busy may let one wait


def python(module: str) -> list[str]:
    """The command that runs a module as it is installed here: what lies in the working folder is not in its import path, unless
    this project itself was found there."""
    [found] = orchestrator.__path__
    return [sys.executable, *([] if Path(found).parent == Path.cwd() else ["-P"]), "-m", module]


def call(*words: str, given: str | None = None, without: Sequence[str] = ()) -> str:
    """What a command prints. ``given`` is its standard input, ``without`` names variables that it is not to inherit.

    Raises:
        CannotRun: where there is no such command, it does not answer, or it refuses, in Slurm's words.
    """
    environment = {name: value for name, value in os.environ.items() if name not in without}
    try:
        done = subprocess.run(
            words, input=given, text=True, capture_output=True, timeout=ANSWER_S, check=False, env=environment
        )
    except FileNotFoundError:
        raise CannotRun(
            f"there is no `{words[0]}` here: --slurm is for a machine that has Slurm's commands, as a login node"
        ) from None
    except subprocess.TimeoutExpired:
        raise CannotRun(
            f"`{words[0]}` has not answered for {ANSWER_S:g} s: is Slurm's controller up (`scontrol ping`)?"
        ) from None
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        raise CannotRun(f"Slurm refuses it: {said}")
    return done.stdout


def submit(script: str) -> str:
    """Submit a batch script; the job's id. Variables that would overrule what it says, unseen, are not passed on; those that
    say what it leaves open are, as SBATCH_ACCOUNT.

    Raises:
        CannotRun: as :func:`call`.
    """
    stated = [
        line.removeprefix("#SBATCH --").partition("=")[0] for line in script.splitlines() if line.startswith("#SBATCH --")
    ]
    variables = [f"SBATCH_{OTHERWISE.get(name, name.replace('-', '_').upper())}" for name in stated]
    return call("sbatch", "--parsable", given=script, without=variables).strip().partition(";")[0]


def requeue(job: str) -> None:
    """Have a running job, or one of an array, end and begin again, under its id.

    Raises:
        CannotRun: as :func:`call`.
    """
    call("scontrol", "requeue", job)
