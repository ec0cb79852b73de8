"""What a batch job does on its node before and after the command that it is for."""

from __future__ import annotations

import os
import signal

import pytest

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.slurm import job as slurm_job
from orchestrator.executors.slurm.job import go_on, main, own_folder, progress, same_store
from orchestrator.store.store import Store
from tests.support.world import a_plan, begin, finish_job, the


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.prepare()
    return store


def test_the_store_of_the_login_node_is_known_again(store):
    assert same_store(store.location, store.identity()).location == store.location


def test_another_store_and_none_end_the_job_before_anything_is_done(store, tmp_path, capsys):
    store.identity()
    for place, said in ((store.location, "here it is"), (str(tmp_path / "none"), "here is none")):
        assert main(["--store", place, "--identity", "ffffffffffff", "--", "run", "x.yaml"]) == 2
        shown = capsys.readouterr().err
        assert f"does not see the store {place}" in shown
        assert said in shown
    assert not (tmp_path / "none").exists()


def test_progress_is_an_epoch_or_a_job(store):
    plan = a_plan()
    found = {progress(store)}
    attempt = store.begin(the(plan, "resnet8-s0"))
    (attempt.path / "half.safetensors").write_bytes(b"")
    store.write_work(the(plan, "resnet8-s0"), "progress.json", {"epochs": 10})
    assert progress(store) in found, "it has begun, and nothing more"
    begin(store, the(plan, "resnet8-s0"), 1, seconds=1)
    assert progress(store) not in found
    found.add(progress(store))
    finish_job(store, the(plan, "resnet20-s0"))
    assert progress(store) not in found


def test_a_job_that_came_no_further_is_not_begun_again(store, capsys):
    assert go_on(store, progress(store)) == 1
    assert "Not begun again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "name"), [({"SLURM_JOB_ID": "7"}, "7"), ({"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"}, "5_2")]
)
def test_where_slurm_does_not_begin_it_again_that_is_said(store, pretended, monkeypatch, capsys, variables, name):
    for variable in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    pretended("scontrol", 'echo "$1 of $2 is disabled" >&2; exit 1')
    assert go_on(store, frozenset({"something else"})) == slurm_job.STOPPED
    shown = capsys.readouterr().err
    assert f"requeue of {name} is disabled" in shown
    assert "Submit it again, and it goes on from here" in shown


def test_each_job_has_a_folder_of_its_own_that_is_short(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1234567890")
    folder = own_folder(tmp_path)
    assert folder.is_dir()
    assert len(str(folder)) - len(str(tmp_path)) < 40
    monkeypatch.setenv("SLURM_JOB_ID", "1234567891")
    assert own_folder(tmp_path) != folder
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotRun, match="see `tmp`"):
        own_folder(tmp_path / "file")


def test_a_signal_before_there_is_a_command_is_passed_on_to_it():
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)}
    try:
        command = slurm_job._Command()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert command.run(["plan", "none.yaml"], None) == -signal.SIGUSR1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
