"""The batch script, line by line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestrator.executors.slurm.profile import Profile
from orchestrator.executors.slurm.script import output, script

JOB = f"exec {sys.executable} -P -m orchestrator.executors.slurm.job --store /shared/store --identity 0123456789ab"


@pytest.fixture(autouse=True)
def where_a_user_is(tmp_path, monkeypatch):
    """In a folder of experiments: what lies there beside them is not to be imported."""
    monkeypatch.chdir(tmp_path)


def made(profile=Profile(), workers=None, run=("run", "my file.yaml")):  # noqa: B008
    text = script("toy", profile, run, "/shared/store", "0123456789ab", workers)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    return text.splitlines()


def test_a_profile_that_asks_for_nothing_leaves_all_to_the_site():
    assert made() == [
        "#!/bin/bash",
        "#SBATCH --job-name=kd-toy",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --signal=B:USR1@180",
        "#SBATCH --requeue",
        "#SBATCH --output=slurm/kd-toy-%j.out",
        "#SBATCH --open-mode=append",
        "",
        f"{JOB} --tmp /tmp --requeue -- run 'my file.yaml' --grace 135",
    ]


def test_all_that_can_be_asked():
    profile = Profile(
        partition="gpu",
        account="proj-7",
        qos="short",
        constraint="a100",
        nodes=2,
        gpus_per_node="a100:4",
        cpus_per_task=16,
        mem="64G",
        time="4:00:00",
        signal=300,
        requeue=False,
        extra=("--exclusive",),
        prologue="module load cuda",
        output="/logs",
        tmp="/local",
    )
    assert made(profile)[1:] == [
        "#SBATCH --job-name=kd-toy",
        "#SBATCH --partition=gpu",
        "#SBATCH --account=proj-7",
        "#SBATCH --qos=short",
        "#SBATCH --constraint=a100",
        "#SBATCH --nodes=2",
        "#SBATCH --gpus-per-node=a100:4",
        "#SBATCH --cpus-per-task=16",
        "#SBATCH --mem=64G",
        "#SBATCH --time=4:00:00",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --signal=B:USR1@300",
        "#SBATCH --no-requeue",
        "#SBATCH --output=/logs/kd-toy-%j.out",
        "#SBATCH --open-mode=append",
        "#SBATCH --exclusive",
        "",
        "module load cuda",
        "",
        f"{JOB} --tmp /local -- run 'my file.yaml' --grace 255",
    ]


def test_an_array_of_workers_takes_one_node_each():
    lines = made(Profile(nodes=4), workers=8, run=("worker", "x.yaml"))
    assert "#SBATCH --nodes=1" in lines
    assert "#SBATCH --array=0-7" in lines
    assert f"#SBATCH --output={output('toy', Profile(), 8)}" in lines
    assert lines[-1].endswith("-- worker x.yaml --grace 135")


def test_the_run_ends_before_slurm_ends_it():
    for signal in range(60, 2000, 20):
        assert 10 <= Profile(signal=signal).grace_s <= signal - 45
