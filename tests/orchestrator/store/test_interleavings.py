"""Workers that do the same job at once, in every order of their steps and killed at every one of them: there is never a broken
entry, what is there once stays, and nobody fails because of another."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.stages import runner
from orchestrator.store import attempt as attempts
from orchestrator.store import store as stores
from orchestrator.store.errors import StoreFailed
from orchestrator.store.store import Store
from tests.support import pretend
from tests.support.interleavings import Run, every_order

JOB = Job(pretend.KIND, 1, {}, {}, "it")
PLACE = f"{JOB.kind}/{JOB.key}"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Makes runs of workers, each with a clock that is wrong by so many steps: nothing in the store but ``files``."""
    found, numbers = [], itertools.count()
    monkeypatch.setitem(KINDS, JOB.kind, None)
    pretend.install()
    monkeypatch.setattr(pretend, "run", lambda job, context: (context.attempt.path / "result").write_text("result") and {})
    monkeypatch.setattr(runner, "_process_as", lambda runtime: contextlib.nullcontext())
    monkeypatch.setattr(attempts, "environment", dict)
    monkeypatch.setattr(stores, "backend_at", lambda location: found[-1].memory)
    runtime = runner.Runtime("memory")

    def worker():
        return found[-1].current

    class Clock:
        @staticmethod
        def time():
            """By the steps of all, so that what comes later is later."""
            run = found[-1]
            return float(sum(len(each.steps) for each in run.workers.values()) + clocks.get(worker().name, 0))

    class Names:
        @staticmethod
        def uuid4():
            return type("Name", (), {"hex": worker().name * 12})

    monkeypatch.setattr(attempts, "time", Clock)
    monkeypatch.setattr(attempts, "uuid", Names)
    clocks = {}

    def make(names="ab", wrong=None, work=lambda: runner.run_job(JOB, runtime)):
        clocks.update(wrong or {})
        run = Run(tmp_path / str(next(numbers)), dict.fromkeys(names, work))
        found.append(run)
        return run

    return make


def check(order, run):
    """The laws that hold in every state; whether there is a result."""
    entry = Store("memory").find(JOB.kind, JOB.key, deep=True)
    for worker in run.workers.values():
        if worker.ended and not worker.killed:
            assert worker.error is None, order
            assert entry, order
    return bool(entry)


def look(orders):
    """Check every state; the runs that came to their end are given."""
    done = {}
    for order, run in orders:
        here = done[tuple(order)] = check(order, run)
        assert here or not (order and done[tuple(order[:-1])]), f"the result was there and is gone: {order}"
        if all(worker.ended for worker in run.workers.values()):
            yield order, run
    assert len(done) > 100


@pytest.mark.parametrize("wrong", [{}, {"a": -100}, {"a": 100}], ids=str)
def test_two_workers_in_every_order(world, wrong):
    ends = 0
    for order, run in look(every_order(lambda: world(wrong=wrong))):
        ends += 1
        assert {name.rpartition("/")[0] for name in run.memory.files} <= {f"{PLACE}/{name * 12}" for name in "ab"}, order
    assert ends > 10


@pytest.mark.parametrize("wrong", [{}, {"a": -100}], ids=str)
def test_two_workers_killed_at_every_step(world, wrong):
    assert sum(1 for _ in look(every_order(lambda: world(wrong=wrong), kills=2))) > 100


def commit_and_clear():
    """What matters of a job: an attempt that has begun long ago comes to its end."""
    store = Store("memory")
    attempt = store.begin(JOB)
    (attempt.path / "result").write_text("result")
    try:
        attempt.commit({}, 1.0)
    except StoreFailed:
        assert store.find(JOB.kind, JOB.key), "who was swept finds the result of who swept"
    store.clear(JOB)


@pytest.mark.slow
def test_three_attempts_in_every_order(world):
    assert sum(1 for _ in look(every_order(lambda: world("abc", work=commit_and_clear)))) > 10
