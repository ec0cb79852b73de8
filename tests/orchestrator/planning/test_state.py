"""Every state of a job, and why it is missing, from the store alone."""

from __future__ import annotations

import pytest

from kd_core.bank.config import BankConfig
from orchestrator.planning.explain import statuses
from orchestrator.planning.presence import at_work_since
from orchestrator.planning.state import State
from orchestrator.store.store import Store
from tests.support.world import a_plan, begin, finish_job, tamper, the


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def told(plan, store, title):
    status = statuses(plan, store)[the(plan, title).key]
    return status.state, status.reason


def test_nothing_is_done_in_an_empty_store_and_nothing_is_made_there(store):
    plan = a_plan()
    assert {status.state for status in statuses(plan, store).values()} == {State.WAITING}
    assert told(plan, store, "resnet20-s0") == (State.WAITING, "never run")
    assert told(plan, store, "probes of resnet20-s0") == (State.WAITING, "never run; needs resnet20-s0")
    assert told(plan, store, "resnet8-kd · s1") == (State.WAITING, "never run; needs resnet20-s0, resnet8-s0")
    assert not store.root.exists()


def test_done(store):
    plan = a_plan()
    finish_job(store, the(plan, "resnet20-s0"))
    assert told(plan, store, "resnet20-s0") == (State.DONE, "")
    assert told(plan, store, "resnet8-kd · s0") == (State.WAITING, "never run; needs resnet8-s0")


def test_a_checkpoint_is_where_it_goes_on(store):
    plan = a_plan()
    begin(store, the(plan, "resnet8-none · s0"), 3)
    assert told(plan, store, "resnet8-none · s0") == (State.WAITING, "goes on after epoch 3 of 10")


def test_running_needs_a_living_worker_whoevers_it_is(store):
    plan = a_plan()
    job = the(plan, "resnet8-none · s0")
    begin(store, job, 3)
    with store.lock("run-toy"):
        assert at_work_since(plan.name, store)
        assert told(plan, store, job.title) == (State.WAITING, "goes on after epoch 3 of 10"), "left by an earlier driver"
    assert at_work_since(plan.name, store) is None
    with store.lock_job(job):
        begin(store, job, 4)
        status = statuses(plan, store)[job.key]
        assert (status.state, status.progress["epoch"]) == (State.RUNNING, 4)
    assert told(plan, store, job.title)[0] == State.WAITING


def test_a_failure_is_told_and_blocks_what_needs_it(store):
    plan = a_plan()
    store.fail(the(plan, "resnet8-s0"), {"reason": "the loss diverged in epoch 2: ce = nan"})
    assert told(plan, store, "resnet8-s0") == (State.FAILED, "failed last time: the loss diverged in epoch 2: ce = nan")
    assert told(plan, store, "probes of resnet8-s0") == (State.BLOCKED, "needs resnet8-s0, which failed")
    assert told(plan, store, "resnet8-kd · s0") == (State.BLOCKED, "needs resnet8-s0, which failed")
    assert told(plan, store, "resnet8-none · s0")[0] == State.WAITING, "plain training needs no teacher"


def test_a_new_driver_tries_again_what_failed_before_it(store):
    plan = a_plan()
    job = the(plan, "resnet8-none · s0")
    store.fail(job, {"reason": "out of memory", "time": 1.0})
    with store.lock("run-toy"):
        assert told(plan, store, job.title) == (State.WAITING, "tried again; failed last time: out of memory")


def test_a_job_that_failed_is_not_running_by_what_it_said_before(store):
    plan = a_plan()
    job = the(plan, "resnet8-none · s0")
    with store.lock("run-toy"):
        begin(store, job, 3, ago=-1)
        store.fail(job, {"reason": "out of memory", "time": 4e9})
        assert told(plan, store, job.title)[0] == State.FAILED


def test_a_corrupt_entry_says_what_is_wrong_with_it(store):
    plan = a_plan()
    job = the(plan, "resnet20-s0")
    finish_job(store, job)
    tamper(store, job)
    state, reason = told(plan, store, job.title)
    assert state == State.WAITING
    assert reason == "its entry is corrupt and will be made again: model.safetensors has 6 bytes, not 7"


def test_a_bank_that_nothing_missing_needs_is_idle(store):
    plan = a_plan(methods=("kd",), bank=BankConfig("on"))
    assert told(plan, store, "logits of resnet20-s0")[0] == State.WAITING
    for job in plan.of("student"):
        finish_job(store, job)
    assert told(plan, store, "logits of resnet20-s0") == (State.IDLE, "nothing that is missing needs it")


def test_the_nearest_result_tells_what_was_changed(store):
    for job in a_plan(lr=0.1):
        finish_job(store, job)
    done = the(a_plan(lr=0.1), "resnet8-kd · s0")
    plan = a_plan(lr=0.05)
    assert told(plan, store, "resnet8-kd · s0") == (State.WAITING, f"recipe.lr is 0.05, done with 0.1 ({done.key[:8]}…)")


def test_another_seed_or_method_or_a_job_of_the_same_plan_is_no_neighbour(store):
    for job in a_plan(methods=("kd",), seeds=(7,)):
        finish_job(store, job)
    plan = a_plan()
    finish_job(store, the(plan, "resnet8-none · s0"))
    for title in ("resnet8-kd · s0", "resnet8-none · s1"):
        assert told(plan, store, title) == (State.WAITING, "never run")


def test_changed_teachers_are_named(store):
    for job in a_plan():
        finish_job(store, job)
    plan = a_plan(epochs=20)
    assert told(plan, store, "resnet8-s0")[1].startswith("recipe.epochs is 20, done with 10 (")
    assert told(plan, store, "resnet8-kd · s0")[1].startswith("its teachers changed (")
