"""What a run cannot do without is killed under it: the cluster's raylet, its GCS, the process that works with it."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from tests.orchestrator.executors.ray.test_executor import descendants, finish, found, pid_in_epoch, start
from tests.orchestrator.executors.ray.test_executor import expected as expected  # what inline makes of it
from tests.support.marked import marked, marked_pids
from tests.support.ray_head import free_ports, ray_head

pytestmark = pytest.mark.slow

VICTIMS = {
    "raylet": ("/raylet/raylet ", "the raylet of this node is gone"),
    "GCS": ("/gcs_server ", "its head is gone: the GCS does not answer"),
    "session": ("orchestrator.executors.ray.session", "the process that works with it was killed by SIGKILL"),
}


@pytest.fixture
def left(monkeypatch):
    """Gives the processes that descend from this test."""
    monkeypatch.setenv(*marked())
    monkeypatch.setenv("SPT_NOENV", "1")
    return marked_pids


def kill(process, victim):
    """Kill one of a run's processes; which it was, in words of the run."""
    arguments, words = VICTIMS[victim]
    [pid] = [pid for pid, line in descendants(process.pid).items() if arguments in line]
    os.kill(pid, signal.SIGKILL)
    return words


def test_it_dies_twice_in_different_ways_and_a_new_one_goes_on_to_the_same(small, expected, left):
    """The raylet alone and the GCS alone: see tests/faults."""
    process = start(small)
    pid_in_epoch(process, small, "teacher")
    words = [kill(process, "session")]
    pid_in_epoch(process, small, "student")
    words.append(kill(process, "GCS"))
    output = " ".join(finish(process).split())
    for each in words:
        assert f"the Ray cluster died ({each}): a new one is begun" in output
    assert found(small) == expected
    assert left() == []


@pytest.mark.parametrize("after", [0.0, 3.0])
def test_one_whose_cluster_died_ends_when_it_is_asked_to(small, left, after):
    """At once after the death, and while a new cluster starts."""
    process = start(small, "teachers.recipe.epochs=100000")
    until = time.monotonic() + 120
    while not list(small.parent.glob("store/work/teacher/*/progress.json")):
        assert time.monotonic() < until
        time.sleep(0.1)
    kill(process, "raylet")
    time.sleep(after)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert "It goes on from here with" in output
    assert left() == []


def test_a_cluster_of_others_is_waited_for(small, expected, monkeypatch):
    """Its head is killed, and another one comes at the same address."""
    token = "a-token-of-32-characters-or-more!"
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    [port] = free_ports(1)
    with ray_head(token, at=port) as head:
        process = start(small, address=head.address)
        pid_in_epoch(process, small, "student")
        for pid in descendants(head.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with ray_head(token, at=port):
        output = " ".join(finish(process).split())
        assert f"the cluster at 127.0.0.1:{port} is waited for" in output
        assert found(small) == expected


def test_a_killed_run_leaves_no_process(small, left):
    process = start(small)
    pid_in_epoch(process, small, "teacher")
    process.kill()
    process.communicate(timeout=60)
    until = time.monotonic() + 60
    while remaining := left():
        assert time.monotonic() < until, remaining
        time.sleep(0.5)
