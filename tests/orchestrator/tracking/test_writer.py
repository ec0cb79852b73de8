"""The writer beside a run: it follows, and whatever goes wrong in it stays there."""

import socket
import time

import pytest

from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from orchestrator.tracking.failure import TrackingError
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.server import SETTINGS
from orchestrator.tracking.writer import Writer
from tests.support.tracking_world import (
    World,
    a_spec,
    afresh,
    client,
    dump,
    living,
    mirror,
    note,
)


def snapshot(world, *running):
    states = {job.key: State.RUNNING if job in running else State.WAITING for job in world.plan}
    return Snapshot(world.plan, states, {job.key: {} for job in running})


def test_the_writer_follows_a_run_and_leaves_what_a_projection_leaves(world, empty):
    before = dict(SETTINGS)
    writer = Writer(world.spec, world.plan, world.store, note)
    student = world.of("student")[0]
    world.begin(student, 1)
    writer.update(snapshot(world, student))
    eventually(lambda: dump(client(world))[world.of("student")[0].key]["points"])
    held = dump(client(world))
    assert (held[world.of("student")[0].key]["status"], held["experiment:toy"]["status"]) == ("RUNNING", "RUNNING")
    world.finish_all()
    writer.update(snapshot(world))
    assert writer.close(30) is None
    assert dump(client(world)) == afresh(world, empty)
    assert before == SETTINGS


def test_at_the_writers_end_nothing_runs(world):
    """The driver was interrupted: its last snapshot still says that the job runs."""
    job = world.of("student")[0]
    world.begin(job, 2)
    writer = Writer(world.spec, world.plan, world.store, note)
    writer.update(snapshot(world, job))
    assert writer.close(30) is None
    held = dump(client(world))
    assert (held[world.of("student")[0].key]["status"], held["experiment:toy"]["status"]) == ("KILLED", "KILLED")
    assert len(held[world.of("student")[0].key]["points"]) == 10


def test_a_dead_server_costs_nothing_and_is_named_without_its_password(tmp_path, capfd):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        world = World(a_spec(tmp_path, uri=f"http://kim:hunter2@127.0.0.1:{unused.getsockname()[1]}"))
        world.finish_all()
        writer = Writer(world.spec, world.plan, world.store, note)
        began = time.perf_counter()
        for _ in range(1000):
            writer.update(snapshot(world))
        assert time.perf_counter() - began < 5
        said = writer.close(30)
        with pytest.raises(TrackingError) as failure:
            mirror(world)
    expected = f"MLflow at http://127.0.0.1:{tracking_location(world.spec, world.store).uri[-5:].lstrip(':')} did not answer: "
    assert said.startswith(expected)
    assert said.endswith("Connection refused; `kd track experiments/toy.yaml` writes what is missing")
    assert str(failure.value) == said
    told = "".join(capfd.readouterr()) + said
    assert "hunter2" not in told
    assert "Retrying" not in told


def test_a_dead_database_is_told_at_once(tmp_path):
    world = World(a_spec(tmp_path, uri="postgresql://kim:hunter2@127.0.0.1:1/mlflow"))
    world.finish_all()
    began = time.perf_counter()
    with pytest.raises(TrackingError, match="was not written: ") as failure:
        mirror(world)
    assert time.perf_counter() - began < 50  # MLflow itself would try for 100 s
    assert "hunter2" not in str(failure.value)


def test_a_server_that_hangs_is_not_waited_for(tmp_path):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        world = World(a_spec(tmp_path, uri=f"http://127.0.0.1:{deaf.getsockname()[1]}"))
        world.finish_all()
        writer = Writer(world.spec, world.plan, world.store, note)
        writer.update(snapshot(world))
        time.sleep(0.5)
        began = time.perf_counter()
        said = writer.close(1.0)
        assert 0.9 < time.perf_counter() - began < 20
        assert "not everything was written within 1 s; `kd track experiments/toy.yaml` writes what is missing" in said


def test_what_goes_wrong_in_the_writer_stays_there(world):
    def broken(folder):
        raise RuntimeError("no report today")

    world.finish_all()
    writer = Writer(world.spec, world.plan, world.store, broken)
    writer.update(snapshot(world))
    assert "was not written: no report today" in writer.close(30)
    held = dump(client(world))
    assert sum(run["status"] == "FINISHED" for run in held.values()) == 7  # the runs of the jobs and of their cell are there


def test_a_writer_that_was_never_told_anything_leaves_at_once(world):
    assert Writer(world.spec, world.plan, world.store, note).close(30) is None
    assert living(client(world)) == []


def eventually(holds, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except KeyError:
            pass
        time.sleep(0.1)
    raise AssertionError("it never came true")
