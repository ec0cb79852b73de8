"""What workers of one experiment keep from doing again."""

from __future__ import annotations

import contextlib
import time

import pytest

from orchestrator.executors.worker import BEGUN, Tries
from orchestrator.stages.runner import JobFailed
from orchestrator.store.store import Store
from tests.support.world import a_plan, begin, the


@pytest.fixture
def store(place):
    store = Store(place)
    store.prepare()
    return store


@pytest.fixture
def job():
    return the(a_plan(), "resnet8-s0")


@pytest.fixture
def dies():
    """A worker that is killed over a job: what it would do at its end is not done before the test's."""
    with contextlib.ExitStack() as killed:
        yield lambda tries, job: killed.enter_context(tries(job))


def test_what_failed_under_another_worker_is_not_tried_again(store, job):
    tries = Tries(store, since=time.time(), deaths=3)
    store.fail(job, {"reason": "the loss diverged"})
    with pytest.raises(JobFailed, match="the loss diverged"), tries(job):
        raise AssertionError("it was tried")


def test_what_failed_before_any_of_them_began_is(store, job):
    store.fail(job, {"reason": "the loss diverged"})
    with Tries(store, since=time.time() + 1, deaths=3)(job):
        pass


def test_a_job_that_kills_its_workers_has_failed_after_so_many(store, job, dies):
    tries = Tries(store, since=time.time(), deaths=2)
    for _ in range(2):
        dies(tries, job)
    with pytest.raises(JobFailed, match="its worker died 2 times"), tries(job):
        raise AssertionError("it was tried")
    assert store.failure(job)["reason"] == "its worker died 2 times"
    with Tries(store, since=time.time() + 1, deaths=2)(job):  # workers that begin later try it again
        pass


def test_deaths_count_from_the_newest_checkpoint(store, job, dies):
    tries = Tries(store, since=time.time(), deaths=1)
    dies(tries, job)
    begin(store, job, 4, seconds=1)
    store.backend.write(f"{store.work(job).folder}/epoch-00004.0123456789abcdef.safetensors", b"")
    with tries(job):
        pass


@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt])
def test_an_end_in_order_is_no_death(store, job, end):
    tries = Tries(store, since=time.time(), deaths=1)
    with pytest.raises(end), tries(job):
        raise end
    assert not store.read_work(job, BEGUN)
