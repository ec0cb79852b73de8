"""The batch script of an experiment: a pure function of the profile and the command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestrator.executors.slurm.commands import python
from orchestrator.executors.slurm.profile import Profile

STATED = ("partition", "account", "qos", "constraint", "nodes", "gpus_per_node", "cpus_per_task", "mem", "time")


def script(name: str, profile: Profile, run: Sequence[str], store: str, identity: str, workers: int | None = None) -> str:
    """One batch script, to be given to sbatch's standard input.

    Args:
        name: of the experiment.
        run: the words of `kd run` or `kd worker` after `kd`.
        store: its location, and ``identity`` what names it: the job sees whether its node has the same.
        workers: so many jobs of an array, each of which is a worker; None: one job.
    """
    told = {field: getattr(profile, field) for field in STATED}
    if workers is not None:
        told["nodes"] = 1
    lines = ["#!/bin/bash", f"#SBATCH --job-name=kd-{name}"]
    lines += [f"#SBATCH --{field.replace('_', '-')}={value}" for field, value in told.items() if value is not None]
    lines += ["#SBATCH --ntasks-per-node=1"]
    if workers is not None:
        lines += [f"#SBATCH --array=0-{workers - 1}"]
    lines += [f"#SBATCH --signal=B:USR1@{profile.signal}", f"#SBATCH --{'' if profile.requeue else 'no-'}requeue"]
    lines += [f"#SBATCH --output={output(name, profile, workers)}", "#SBATCH --open-mode=append"]
    lines += [f"#SBATCH {option}" for option in profile.extra]
    if profile.prologue:
        lines += ["", profile.prologue]
    job = [*python("orchestrator.executors.slurm.job"), "--store", store, "--identity", identity]
    job += ["--tmp", profile.tmp, *(["--requeue"] if profile.requeue else [])]
    words = [*job, "--", *run, "--grace", str(profile.grace_s)]
    # the shell becomes the job, so that Slurm's signal to the batch script reaches it
    lines += ["", f"exec {shlex.join(words)}"]
    return "\n".join(lines) + "\n"


def output(name: str, profile: Profile, workers: int | None = None) -> str:
    """Where the job prints, by Slurm's patterns."""
    return str(Path(profile.output) / f"kd-{name}-{'%j' if workers is None else '%A_%a'}.out")
