"""What a site offers and cannot give, from lines as `sinfo` prints them."""

from __future__ import annotations

import math

import pytest

from orchestrator.executors.slurm.profile import Profile
from orchestrator.executors.slurm.site import minutes, nodes, problems, too_little
from orchestrator.experiment.spec import Allocation

SINFO = """\
cpu*|up|1-00:00:00|40|64|256000|(null)
gpu|up|4:00:00|8|32|512000+|gpu:a100:4(S:0-1)
gpu|up|4:00:00|2|16|128000|gpu:v100:2,nvme:1
old|down|infinite|3|8|16000|gpu:1
"""


@pytest.fixture
def site(pretended):
    pretended("sinfo", f"/bin/cat <<END\n{SINFO}END")
    return nodes()


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("90", 90),
        ("30:30", 30.5),
        ("4:00:00", 240),
        ("1-12", 2160),
        ("1-12:30", 2190),
        ("1-00:00:30", 1440.5),
        ("infinite", math.inf),
        ("n/a", math.inf),
    ],
)
def test_times_as_slurm_writes_them(time, expected):
    assert minutes(time) == expected


def test_what_is_there(site):
    assert [str(each) for each in site] == [
        "cpu (default): 24 h, 40 × 64 CPU, 250 GiB",
        "gpu: 4 h, 8 × 32 CPU, 500 GiB, 4 GPU (a100)",
        "gpu: 4 h, 2 × 16 CPU, 125 GiB, 2 GPU (v100)",
        "old: no limit, down, 3 × 8 CPU, 16 GiB, 1 GPU",
    ]


@pytest.mark.parametrize(
    "profile",
    [
        Profile(),
        Profile(time="24:00:00", nodes=40, cpus_per_task=64, mem="250G"),
        Profile(partition="gpu", time="4:00:00", nodes=8, gpus_per_node="a100:4", cpus_per_task=32),
        Profile(partition="gpu", nodes=10, gpus_per_node="2"),
        Profile(partition="cpu,gpu", nodes=8, gpus_per_node="4"),
    ],
)
def test_what_can_be_given(site, profile):
    assert list(problems(profile, site)) == []


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (Profile(partition="gpus"), "there is no partition gpus (there are: cpu, gpu, old)"),
        (Profile(partition="old"), "partition old is down"),
        (Profile(partition="gpu", time="5:00:00"), "`time` is 5:00:00, but partition gpu ends jobs after 4 h"),
        (Profile(gpus_per_node="1"), "1 nodes with 1 CPU, 1 GPU are asked for, and partition cpu has 0"),
        (Profile(partition="gpu", gpus_per_node="v100:4"), "partition gpu has 0"),
        (Profile(partition="gpu", nodes=9, gpus_per_node="4"), "partition gpu has 8"),
        (Profile(mem="1T"), "1 nodes with 1 CPU, 1T memory are asked for, and partition cpu has 0"),
    ],
)
def test_what_cannot(site, profile, said):
    assert said in "; ".join(problems(profile, site))


def test_a_job_of_the_experiment_that_no_node_of_the_profile_could_run():
    profile = Profile(cpus_per_task=2, gpus_per_node="a100:1")
    assert list(too_little(profile, {"teacher": Allocation(2, 1.0)})) == []
    assert list(too_little(profile, {"teacher": Allocation(4, 2.0)})) == [
        "resources.teacher asks for 4 CPU, but `cpus-per-task` is 2",
        "resources.teacher asks for 2 GPU, but `gpus-per-node` is a100:1",
    ]
