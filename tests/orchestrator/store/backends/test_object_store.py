"""Whole experiments whose store is in an object store: the same results as in a folder, whatever is killed."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from orchestrator.cli.app import main
from orchestrator.driver import run
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.planning.state import checkpointed
from orchestrator.store.store import Store
from tests.orchestrator.conftest import SMALL
from tests.orchestrator.executors.ray.test_executor import EPOCHS, finish, found, pid_in_epoch, start
from tests.orchestrator.test_driver import content
from tests.support.object_store import SECRET, ObjectStore

FEW = ("students.seeds=[0]", "students.methods=[none, kd]")


@pytest.fixture
def remote(small, s3):
    """The small experiment, its store in a bucket."""
    uri = s3.uri()
    small.write_text(small.read_text().replace(f"{small.parent}/store", uri))
    return small, uri


def test_the_results_are_those_of_a_folder(remote, s3, tmp_path, capsys):
    file, uri = remote
    expected = run(file, executor="inline", overrides=FEW, store=str(tmp_path / "store"))
    outcome = run(file, executor="inline", overrides=FEW)
    assert outcome.computed == len(outcome.plan) == 2 + 2 + 2 + 2
    assert content(outcome.store, outcome.plan) == content(expected.store, expected.plan)
    for name in ("results", "probes"):
        measured = [
            each for each in ("seconds", "device_seconds", "peak_memory") if each in getattr(outcome, name).schema.names
        ]
        table, other = (getattr(found, name).drop_columns(measured) for found in (outcome, expected))
        assert table == other
    objects = s3.objects(uri)
    assert {name.split("/")[2] for name in objects} == {"teacher", "probe", "bank", "student", "logs"}
    assert not any(SECRET.encode() in held for held in objects.values())
    assert run(file, executor="inline", overrides=FEW).computed == 0
    capsys.readouterr()
    options = [part for change in FEW for part in ("--set", change)]
    assert main(["status", str(file), *options]) == 0
    assert "no run is at work on it" in capsys.readouterr().out
    assert main(["plan", str(file), *options]) == 0
    assert "Nothing is left to do" in capsys.readouterr().out


def test_a_corrupt_object_is_quarantined_and_made_again(remote, s3):
    file, uri = remote
    only = ("students.methods=[none]", "students.seeds=[0]", "probes=false")
    first = run(file, executor="inline", overrides=only)
    [job] = first.plan.of("student")
    expected = content(first.store, first.plan)
    attempt = first.store.entry("student", job.key).manifest["attempt"]
    name = f"student/{job.key}/{attempt}/model.safetensors"
    damaged = bytearray(first.store.backend.read(name))
    damaged[-1] ^= 1
    first.store.backend.write(name, bytes(damaged))
    again = run(file, executor="inline", overrides=only)
    assert again.computed == 1
    [note] = again.notes
    assert f"moved to {uri.partition('?')[0]}/quarantine/student-{job.key}-" in note
    assert content(again.store, again.plan) == expected


@pytest.mark.slow
def test_mlflow_is_mirrored_into_a_file_that_is_told(remote, tmp_path, capsys, monkeypatch):
    file, _ = remote
    only = ["students.methods=[none]", "students.seeds=[0]", "probes=false", "tracking.enabled=true"]
    options = [part for change in only for part in ("--set", change)]
    assert main(["run", str(file), "--executor", "inline", *options]) == 0
    [database] = (tmp_path / "cache" / "mlflow").glob("*/mlflow.db")
    assert f"They are in         {database}, on this machine alone" in capsys.readouterr().out
    assert SECRET.encode() not in database.read_bytes()
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "another"))  # as on another machine
    assert main(["track", str(file), *options]) == 0
    assert "5 runs written" in capsys.readouterr().out
    assert len(list((tmp_path / "another" / "mlflow").glob("*/mlflow.db"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["teacher", "student"])
def test_a_killed_run_goes_on_on_another_machine(remote, tmp_path, kind):
    """Nothing but the store is left of it: checkpoints come from there."""
    file, uri = remote
    process = start(file, executor="inline")
    _, job = pid_in_epoch(process, file, kind)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    shutil.rmtree(tmp_path / "cache")
    assert checkpointed(Store(uri).work(job)) >= 3
    finish(start(file, executor="inline"))
    local = tmp_path / "folder.yaml"
    local.write_text(SMALL.format(store=tmp_path / "store"))
    finish(start(local, executor="inline"))
    assert found(file) == found(local)
    history = Store(uri).entry(job.kind, job.key)
    assert history.results["epochs"] == 12


@pytest.mark.slow
def test_ray_makes_of_it_what_inline_makes_and_a_killed_worker_goes_on(remote, s3, tmp_path):
    file, uri = remote
    process = start(file)
    pid, _ = pid_in_epoch(process, file, "student", seconds=300)
    os.kill(pid, signal.SIGKILL)
    finish(process)
    local = tmp_path / "folder.yaml"
    local.write_text(SMALL.format(store=tmp_path / "store"))
    run(local, executor="inline", overrides=EPOCHS)
    assert found(file) == found(local)
    objects = s3.objects(uri)
    assert {name.split("/")[2] for name in objects} == {"teacher", "probe", "bank", "student", "logs"}, (
        "Tune's folder is gone too"
    )
    assert not any(SECRET.encode() in held for held in objects.values())


@pytest.mark.slow
def test_a_store_that_is_away_for_a_while_is_waited_for(remote, s3, tmp_path):
    """The server is down for some seconds in the middle of a training."""
    own = ObjectStore.start()
    uri = own.uri()
    file = tmp_path / "away.yaml"
    file.write_text(SMALL.format(store=uri))
    process = start(file, "students.methods=[none]", "probes=false", executor="inline")
    pid_in_epoch(process, file, "teacher")
    own.server.stop()
    time.sleep(4)
    again = ObjectStore.start(own.port)
    try:
        finish(process)
        teachers = make(load(file, EPOCHS)).of("teacher")
        assert [Store(uri).entry("teacher", job.key).results["epochs"] for job in teachers] == [12, 12]
    finally:
        again.server.stop()
