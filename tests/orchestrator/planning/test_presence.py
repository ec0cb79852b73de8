"""Who is at work on an experiment."""

from __future__ import annotations

import contextlib

import pytest

from orchestrator.planning.presence import (
    at_work_since,
    experiment_of,
    run_lock,
    run_of,
    worker_lock,
    workers_of,
)
from orchestrator.store.store import Store


@pytest.mark.parametrize("name", ["toy", "a-b", "worker-a", "run-3", "toy-0123456789ab"])
def test_a_lock_names_its_experiment(name):
    assert experiment_of(run_lock(name)) == name
    assert experiment_of(worker_lock(name)) == name


@pytest.mark.parametrize("lock", ["job-teacher-0123", "identity", "tracking-toy", "worker-toy"])
def test_other_locks_are_nobody_at_work(lock):
    assert experiment_of(lock) is None


def test_workers_and_runs_of_an_experiment(place):
    store = Store(place)
    store.prepare()
    with contextlib.ExitStack() as stack:
        for lock in (worker_lock("toy"), worker_lock("toy"), worker_lock("other"), run_lock("toy-2")):
            stack.enter_context(store.lock(lock))
        first, second = workers_of("toy", store)
        assert at_work_since("toy", store) == first.since <= second.since
        assert run_of("toy", store) is None
        assert run_of("toy-2", store)
    assert workers_of("toy", store) == []
    assert at_work_since("toy", store) is None
