"""Profiles: every mistake is told with its place, and what is given later counts."""

from __future__ import annotations

import pytest

from orchestrator.executors.slurm import profile
from orchestrator.executors.slurm.profile import Profile, profile_of
from orchestrator.experiment.problems import SpecError

WHOLE = """\
partition: gpu
account: proj-7
nodes: 2
gpus-per-node: a100:4
cpus_per_task: 16
mem: 64G
time: 1-04:00:00
extra: [--exclusive, "--mail-type=END"]
prologue: |
  module load cuda
  source ~/kd/bin/activate
requeue: false
"""


@pytest.fixture(autouse=True)
def no_profile_at_home(monkeypatch, tmp_path):
    monkeypatch.delenv(profile.HOME, raising=False)
    monkeypatch.setattr(profile, "USUAL", str(tmp_path / "none.yaml"))


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "gpu.yaml"
    file.write_text(WHOLE)
    return file


def test_a_whole_profile(file):
    assert profile_of([str(file)]) == Profile(
        partition="gpu",
        account="proj-7",
        nodes=2,
        gpus_per_node="a100:4",
        cpus_per_task=16,
        mem="64G",
        time="1-04:00:00",
        extra=("--exclusive", "--mail-type=END"),
        prologue="module load cuda\nsource ~/kd/bin/activate",
        requeue=False,
    )


def test_what_is_given_by_hand_counts_more(file):
    found = profile_of(["time=4:00:00", str(file), "gpus-per-node=1"])
    assert (found.time, found.gpus_per_node, found.partition) == ("4:00:00", "1", "gpu")


def test_the_users_own_profile_is_the_base_unless_another_is_named(file, monkeypatch, tmp_path):
    monkeypatch.setenv(profile.HOME, str(file))
    assert profile_of(["nodes=1"]).partition == "gpu"
    other = tmp_path / "other.yaml"
    other.write_text("qos: short\n")
    assert profile_of([str(other)]) == Profile(qos="short")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("partion: gpu", "no such field; did you mean 'partition'?"),
        ("licences: matlab", "`extra` takes any other option of sbatch"),
        ("nodes: 0", "must be an integer >= 1, but got 0"),
        ("nodes: true", "must be an integer >= 1, but got true"),
        ("time: soon", "must be minutes, H:MM:SS or D-HH:MM:SS, but got 'soon'"),
        ("mem: 64 GB", "must be a number of MiB, or with its unit as in 64G, but got '64 GB'"),
        ("gpus-per-node: many", "must be a number, or a kind and a number as in a100:4, but got 'many'"),
        ("partition: a b", "must be one word, but got 'a b'"),
        ("partition: $(reboot)", "must be one word"),
        ("partition:", "must be one word, but got null"),
        ("signal: 5", "must be an integer >= 60, but got 5"),
        ("requeue: perhaps", "must be true or false, but got 'perhaps'"),
        ("extra: exclusive", "must be options of sbatch, each beginning with `-`"),
        ("prologue: [1]", "must be lines of shell, but got [1]"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, line, said):
    file = tmp_path / "bad.yaml"
    file.write_text(f"account: x\n{line}\n")
    with pytest.raises(SpecError) as found:
        profile_of([str(file)])
    assert str(found.value).startswith(f"{file}:2: {line.partition(':')[0]}: ")
    assert said in str(found.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("nodes: none\ntime: soon\n")
    with pytest.raises(SpecError) as found:
        profile_of([str(file), "qos=a b"])
    assert len(found.value.problems) == 3
    assert "--slurm qos=a b: qos: must be one word" in str(found.value)


@pytest.mark.parametrize(("asked", "said"), [(["none.yaml"], "no such file"), (["a.yaml", "b.yaml"], "one profile is enough")])
def test_a_file_that_is_not_there_and_one_too_many(asked, said):
    with pytest.raises(SpecError, match=said):
        profile_of(asked)


def test_an_empty_profile(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    with pytest.raises(SpecError, match="a profile has at least one field"):
        profile_of([str(tmp_path / "empty.yaml")])
