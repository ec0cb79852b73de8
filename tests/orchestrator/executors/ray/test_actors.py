"""Actors on a cluster that believes it has a GPU: shares are packed, grow where they were too small, and go by priority."""

from __future__ import annotations

import math
import time

import pytest

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.ray.auth import make_token
from orchestrator.executors.ray.private.settings import CLUSTER
from orchestrator.experiment.spec import TeacherAllocation
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.stages.runner import Runtime
from orchestrator.store.store import Store
from tests.support import pretend
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow
CPUS = 8  # so that the one GPU is what is scarce


@pytest.fixture(scope="module")
def cluster():
    """A cluster of its own, whose workers and whose driver know the pretended kind of job."""
    import os

    pretend.install()

    for name, value in CLUSTER.items():
        os.environ.setdefault(name, value)
    make_token()  # Ray would leave one at home
    import ray

    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=CPUS,
        num_gpus=1,
        object_store_memory=200 * 2**20,
        _node_ip_address="127.0.0.1",
        log_to_driver=False,
        logging_level="error",
        runtime_env={
            "worker_process_setup_hook": "tests.support.pretend.install",
            "env_vars": {"PYTHONPATH": str(ROOT)},  # where workers find the tests
        },
    )
    yield
    ray.shutdown()
    del KINDS[pretend.KIND]


def jobs(tmp_path, count, **config) -> list[Job]:
    diary = str(tmp_path / "diary")
    return [Job(pretend.KIND, 1, {"diary": diary, "number": number, **config}, {}, f"job{number}") for number in range(count)]


def actors(tmp_path, share, slots, **more):
    from orchestrator.executors.ray.actors import Actors

    runtime = Runtime(Store(tmp_path / "store").location, cpus=share.cpus, gpus=share.gpus)
    return Actors(lambda job: runtime, share, slots, max_failures=0, **more)


def state():
    """What a test that waits in vain would like to know."""
    import ray

    actors = [(actor["State"], actor["Pid"], actor["DeathCause"]) for actor in ray._private.state.actors().values()]
    return ray.available_resources(), actors


def ended(some, seconds=300):
    """How every job that was submitted ended, by its title."""
    found, until = {}, time.monotonic() + seconds
    try:
        while some.busy:
            assert time.monotonic() < until, (found, state())
            found |= {end.job.title: end.failure for end in some.poll(1)}
            some.settle()
    finally:
        some.close()  # what is left would hold the GPU of the tests behind
    return found


def diary(tmp_path) -> list[list[str]]:
    path = tmp_path / "diary"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_four_quarters_of_a_gpu_run_at_once_and_on_the_same_one(cluster, tmp_path):
    some = actors(tmp_path, TeacherAllocation(1, 0.25), slots=4)
    for job in jobs(tmp_path, 4, meet=str(tmp_path / "meet"), all=4):
        some.submit(job)
    assert ended(some) == dict.fromkeys(f"job{number}" for number in range(4))
    lines = diary(tmp_path)
    assert len({pid for _, _, pid, _ in lines}) == 4
    assert {device for *_, device in lines} == {"0"}


def test_a_fifth_quarter_waits(cluster, tmp_path):
    """Whatever we ask of it, Ray begins no more than fit: five cannot come together, four of them wait in vain."""
    some = actors(tmp_path, TeacherAllocation(1, 0.25), slots=5, priority=lambda job: 0.5)
    for job in jobs(tmp_path, 5, meet=str(tmp_path / "meet"), all=5):
        some.submit(job)
    until = time.monotonic() + 200
    while len(diary(tmp_path)) < 4 and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(3)  # long enough for a process that would not wait
    assert len(diary(tmp_path)) == 4
    assert some.urgency == 0.5, "Ray has found no room for the fifth: nothing of less priority may begin elsewhere"
    (tmp_path / "meet" / "a fifth").touch()
    assert set(ended(some).values()) == {None}
    assert some.urgency == -math.inf


def test_what_runs_out_of_memory_gets_twice_the_share_and_its_neighbours_stay(cluster, tmp_path):
    some = actors(tmp_path, TeacherAllocation(1, 0.25), slots=4)
    hungry, greedy, modest = (
        Job(pretend.KIND, 1, {"diary": str(tmp_path / "diary"), "needs": needs}, {}, title)
        for title, needs in (("hungry", 0.8), ("greedy", 5), ("modest", 0.25))
    )
    for job in (hungry, greedy, modest):
        some.submit(job)
    found = ended(some)
    assert found["hungry"] is None
    assert found["modest"] is None
    assert found["greedy"].startswith("out of GPU memory with 0.25, then 0.5, then 1 GPU")
    shares = [(title, share) for title, share, *_ in diary(tmp_path)]
    assert [share for title, share in shares if title == "hungry"] == ["0.25", "0.5", "1"]
    assert [share for title, share in shares if title == "greedy"] == ["0.25", "0.5", "1"]
    assert [share for title, share in shares if title == "modest"] == ["0.25"]
    pids = [pid for title, _, pid, _ in diary(tmp_path) if title == "hungry"]
    assert len(set(pids)) == 3, "a fresh process each time"
    entry = Store(tmp_path / "store").entry(hungry.kind, hungry.key)
    resources = dict(entry.manifest["resources"])
    assert resources.pop("peak_memory") > 0
    assert resources == {"cpus": 1, "gpus": 1, "workers": 1, "out_of_memory": 2}


def test_what_has_priority_overtakes_what_waits(cluster, tmp_path):
    some = actors(tmp_path, TeacherAllocation(1, 1), slots=1, priority=lambda job: job.config["number"])
    for job in jobs(tmp_path, 4, seconds=0.5):
        some.submit(job)
    ended(some)
    assert [title for title, *_ in diary(tmp_path)] == ["job0", "job3", "job2", "job1"]
    assert len({pid for _, _, pid, _ in diary(tmp_path)}) == 1, "one process runs them all"


def test_workers_that_do_not_fit_are_refused(cluster, tmp_path):
    some = actors(tmp_path, TeacherAllocation(2, 0, workers=5), slots=4)
    with pytest.raises(CannotRun, match=r"workers asks for 5 times 2 CPU and 0 GPU, but the nodes have room for 4 times"):
        some.submit(Job("teacher", 1, {"recipe": {"epochs": 3}}))
