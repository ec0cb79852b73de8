"""The dispatcher: what is handed out, in which order, and how searches close. Nothing is trained."""

from __future__ import annotations

import dataclasses
import math
import os
import socket

import pytest
import torch

from kd_core.training.checkpoint import Checkpoint, Checkpoints, Record
from kd_core.training.metrics import VALIDATION_ACCURACY
from orchestrator.executors.dispatcher import Dispatcher
from orchestrator.executors.ray.early_stopping import early_stopping_of
from orchestrator.jobs.job import Job
from orchestrator.search import study as study_module
from orchestrator.search.study import Study
from orchestrator.stages.runner import Runtime
from orchestrator.store.store import Store
from tests.support.searches import EPOCHS, a_search, choices, finish_trial
from tests.support.world import a_plan


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def dispatcher(store):
    return Dispatcher(store, lambda job: Runtime(store.location), early_stopping_of)


def taken(dispatcher):
    """The job that is handed out, or None."""
    found = dispatcher.take()
    return found and found[0]


def train(dispatcher, store, job, accuracies):
    """Run a trial that reaches these accuracies, or is ended early; its epochs."""
    for epoch, accuracy in enumerate(accuracies, start=1):
        if dispatcher.report(job.key, {"epoch": epoch, "accuracy": accuracy, "seconds": 1.0}):
            dispatcher.end(job.key)
            return epoch
    finish_trial(store, job, accuracies)
    dispatcher.end(job.key)
    return len(accuracies)


def test_students_are_handed_out_in_their_order_and_end_as_they_are_told(dispatcher):
    first, second = a_plan().of("student")[:2]
    dispatcher.submit(first)
    dispatcher.submit(second)
    assert [taken(dispatcher), taken(dispatcher), taken(dispatcher)] == [first, second, None]
    dispatcher.end(second.key, "no luck")
    dispatcher.end(first.key)
    assert [(ended.job, ended.failure) for ended in dispatcher.ended()] == [(second, "no luck"), (first, None)]
    assert dispatcher.open == 0
    assert dispatcher.idle


def test_higher_priority_goes_first(store):
    students = a_plan().of("student")
    wanted = {job.key: index for index, job in enumerate(students)}
    dispatcher = Dispatcher(store, lambda job: Runtime(store.location), early_stopping_of, lambda job: wanted[job.key])
    for job in students:
        dispatcher.submit(job)
    assert [taken(dispatcher) for _ in students] == students[::-1]


def test_what_lies_below_the_floor_waits(store):
    """Priorities: the search 3, the students 2 and 1."""
    search, (first, second) = a_search(trials=9), a_plan().of("student")[:2]
    wanted = {search.key: 3.0, first.key: 2.0, second.key: 1.0}
    dispatcher = Dispatcher(store, lambda job: Runtime(store.location), early_stopping_of, lambda job: wanted[job.key])
    for job in (second, search, first):
        dispatcher.submit(job)
    dispatcher.floor = 4.0
    assert taken(dispatcher) is None
    assert not dispatcher.ready
    dispatcher.floor = 3.0
    assert dispatcher.ready
    assert taken(dispatcher).kind == "trial"
    wanted[search.key] = 0.0
    dispatcher.floor = 1.5
    assert [taken(dispatcher), taken(dispatcher)] == [first, None]
    assert not dispatcher.ready
    dispatcher.floor = -math.inf
    assert taken(dispatcher) == second
    assert taken(dispatcher).kind == "trial"


def test_searches_share_what_there_is_and_close_one_by_one(dispatcher, store):
    one, other = a_search(choices(3), searcher="grid", title="one"), a_search(trials=3, seed=1, scheduler="none", title="other")
    dispatcher.submit(one)
    dispatcher.submit(other)
    at_work = [taken(dispatcher) for _ in range(4)]
    owners = [job.title.rpartition(" of ")[2] for job in at_work]
    assert sorted(owners) == ["one", "one", "other", "other"]
    ended = []
    while at_work:
        train(dispatcher, store, at_work.pop(0), [0.1] * EPOCHS)
        ended += dispatcher.ended()
        if job := taken(dispatcher):
            at_work.append(job)
    assert {found.job.key for found in ended} == {one.key, other.key}
    assert not any(found.failure for found in ended)
    assert store.entry("search", one.key).results["trials"] == 3


def test_successive_halving_by_hand(dispatcher, store):
    """Nine epochs, reduction 3: rungs at epochs 1, 3 and 9. The cutoff of a rung is the 2/3 quantile of what reached it before.

    Trial 0 (0.5 throughout) meets empty rungs and goes through. Trial 1 with 0.4 is below 0.5 at epoch 1 and ends there. Trial
    2 has 0.6 at epoch 1, above the quantile of (0.5, 0.4), but only 0.45 at epoch 3, below 0.5, and ends there.
    """
    dispatcher.submit(a_search(trials=3))
    lengths = [
        train(dispatcher, store, taken(dispatcher), accuracies)
        for accuracies in ([0.5] * 9, [0.4] * 9, [0.6, 0.45, 0.45] + [0.9] * 6)
    ]
    assert lengths == [9, 1, 3]
    [ended] = dispatcher.ended()
    results = store.entry("search", ended.job.key).results
    assert (results["trials"], results["stopped"], results["trial"]) == (3, 2, 0)


def test_two_searches_are_judged_apart(dispatcher, store):
    """The second search's trials are all worse than the first's, but none of its own was better before: none ends early."""
    strong, weak = a_search(trials=2, title="strong"), a_search(trials=2, seed=1, title="weak")
    dispatcher.submit(strong)
    for _ in range(2):
        assert train(dispatcher, store, taken(dispatcher), [0.9] * EPOCHS) == EPOCHS
    dispatcher.submit(weak)
    for _ in range(2):
        assert train(dispatcher, store, taken(dispatcher), [0.1] * EPOCHS) == EPOCHS


def test_a_search_that_goes_on_judges_by_what_was_before(dispatcher, store):
    search = a_search(trials=2)
    dispatcher.submit(search)
    train(dispatcher, store, taken(dispatcher), [0.5] * EPOCHS)
    dispatcher.close()
    after = Dispatcher(store, lambda job: Runtime(store.location), early_stopping_of)
    after.submit(search)
    assert train(after, store, taken(after), [0.4] * EPOCHS) == 1


def stopped_at(store, search):
    first, second, *_ = Study(search, store).trials
    assert (first.state, second.state) == ("done", "stopped")
    return second.accuracies


@pytest.mark.parametrize("to_its_end", [False, True])
def test_what_a_trial_does_before_it_hears_that_it_ends_does_not_count(dispatcher, store, to_its_end):
    """At epoch 2, between two rungs, nothing is judged: that does not take back what was said of epoch 1."""
    search = a_search(trials=3)
    dispatcher.submit(search)
    train(dispatcher, store, taken(dispatcher), [0.5] * EPOCHS)
    late = taken(dispatcher)
    for epoch in (1, 2, 3):
        assert dispatcher.report(late.key, {"epoch": epoch, "accuracy": 0.4, "seconds": 1.0})
    if to_its_end:
        finish_trial(store, late, [0.4] * EPOCHS)
    dispatcher.end(late.key)
    assert tuple(stopped_at(store, search)) == (0.4,)


def test_a_killed_run_that_had_gone_beyond_where_a_trial_ends_ends_it_there(dispatcher, store):
    search = a_search(trials=3)
    dispatcher.submit(search)
    train(dispatcher, store, taken(dispatcher), [0.5] * EPOCHS)
    late = taken(dispatcher)
    history = tuple(Record(epoch, 1, 1.0, {VALIDATION_ACCURACY: 0.4}) for epoch in (1, 2, 3))
    Checkpoints(store.work(late)).save(Checkpoint({"weight": torch.zeros(1)}, history))
    dispatcher.close()
    after = Dispatcher(store, lambda job: Runtime(store.location), early_stopping_of)
    after.submit(search)
    assert taken(after).key != late.key  # the third
    assert tuple(stopped_at(store, search)) == (0.4,)


def test_the_last_epoch_is_not_judged(dispatcher, store):
    """At the rung of epoch 9 a trial is whole, however bad it is."""
    dispatcher.submit(a_search(trials=2))
    assert train(dispatcher, store, taken(dispatcher), [0.5] * 9) == 9
    assert train(dispatcher, store, taken(dispatcher), [0.5] * 8 + [0.1]) == 9


def test_median_ends_what_stays_below_the_others(dispatcher, store):
    """Grace 2, three samples needed: the fourth trial's best, 0.3, is below the median 0.5 at epoch 2."""
    dispatcher.submit(a_search(trials=4, scheduler="median", grace=2))
    lengths = [train(dispatcher, store, taken(dispatcher), [accuracy] * EPOCHS) for accuracy in (0.4, 0.5, 0.6, 0.3)]
    assert lengths == [9, 9, 9, 2]


def test_a_trial_that_fails_is_written_down_and_the_search_goes_on(dispatcher, store):
    search = a_search(trials=2)
    dispatcher.submit(search)
    dispatcher.end(taken(dispatcher).key, "loss is nan")
    train(dispatcher, store, taken(dispatcher), [0.5] * EPOCHS)
    dispatcher.ended()
    assert store.entry("search", search.key).results["failed"] == 1


def test_two_searches_that_try_the_same_values_run_them_once(dispatcher, store, monkeypatch):
    here = {"temperature": 4, "recipe.lr": 0.05}
    one, other = a_search(trials=1, defaults=here), a_search(trials=1, defaults=here, scheduler="none")
    assert one.key != other.key
    dispatcher.submit(one)
    dispatcher.submit(other)
    job = taken(dispatcher)
    assert taken(dispatcher) is None
    train(dispatcher, store, job, [0.5] * EPOCHS)
    assert taken(dispatcher) is None, "not at once"
    monkeypatch.setattr(study_module.time, "monotonic", lambda: math.inf)
    again = taken(dispatcher)
    assert again.key == job.key
    dispatcher.end(again.key)  # run_job finds it done
    assert {ended.job.key for ended in dispatcher.ended()} == {one.key, other.key}


def test_a_search_that_another_run_is_at_is_left_to_it(dispatcher, store):
    search = a_search(trials=1)
    with store.lock_job(search):
        dispatcher.submit(search)
        assert taken(dispatcher) is None
        [ended] = dispatcher.ended()
    assert (ended.job, ended.failure) == (search, None)
    assert ended.elsewhere == f"process {os.getpid()} on {socket.gethostname()}"
    assert dispatcher.open == 0
    dispatcher.submit(search)
    assert taken(dispatcher).kind == "trial"
    assert store.worker(search)
    dispatcher.close()
    assert store.worker(search) is None


def test_a_trial_that_another_run_is_at_is_handed_out_again_later(dispatcher, store, monkeypatch):
    dispatcher.submit(a_search(trials=2, parallel=1))
    trial = taken(dispatcher)
    dispatcher.end(trial.key, elsewhere="process 12 on far")
    assert taken(dispatcher) is None, "the one elsewhere is among those at work"
    monkeypatch.setattr(study_module.time, "monotonic", lambda: math.inf)
    assert taken(dispatcher).key == trial.key
    train(dispatcher, store, trial, [0.5] * EPOCHS)
    assert taken(dispatcher).key != trial.key


def test_a_student_that_another_run_is_at_is_given_back(dispatcher):
    student = Job("student", 1, {"seed": 0})
    dispatcher.submit(student)
    dispatcher.end(taken(dispatcher).key, elsewhere="process 12 on far")
    [ended] = dispatcher.ended()
    assert (ended.job, ended.failure, ended.elsewhere) == (student, None, "process 12 on far")


def test_what_ended_before_the_search_could_close_is_closed_when_it_is_opened(dispatcher, store):
    search = a_search(trials=1)
    study = Study(search, store)
    job = study.job_of(study.ask())
    finish_trial(store, job, [0.5] * EPOCHS)
    dispatcher.submit(search)
    assert taken(dispatcher).key == job.key
    dispatcher.end(job.key)
    assert [ended.job for ended in dispatcher.ended()] == [search]

    study = Study(dataclasses.replace(a_search(trials=1, seed=3)), store)
    trial = study.ask()
    study.tell(trial.number, "done", (0.5,), 1.0)
    dispatcher.submit(study.job)
    assert [ended.job.key for ended in dispatcher.ended()] == [study.job.key]


def test_out_of_gpu_memory_a_job_gets_twice_the_share_twice_and_then_fails(store):
    student = a_plan().of("student")[0]
    dispatcher = Dispatcher(store, lambda job: Runtime(store.location, gpus=0.25), early_stopping_of)
    dispatcher.submit(student)
    shares = []
    for _ in range(3):
        job, runtime = dispatcher.take()
        shares.append(runtime.gpus)
        dispatcher.end(job.key, "out of GPU memory", out_of_memory=True)
    assert shares == [0.25, 0.5, 1.0]
    assert dispatcher.take() is None
    assert [ended.failure for ended in dispatcher.ended()] == ["out of GPU memory"]


def test_a_trial_with_a_larger_allocation_is_the_same_trial(store):
    dispatcher = Dispatcher(store, lambda job: Runtime(store.location, gpus=0.5), early_stopping_of)
    search = a_search(trials=1)
    dispatcher.submit(search)
    job, _ = dispatcher.take()
    dispatcher.end(job.key, "out of GPU memory", out_of_memory=True)
    dispatcher.floor = 1.0  # above the priority of the search
    assert dispatcher.take() is None
    assert not dispatcher.ready
    dispatcher.floor = 0.0
    assert dispatcher.ready
    again, runtime = dispatcher.take()
    assert (again.key, runtime.gpus, runtime.too_small) == (job.key, 1.0, (0.5,))
    train(dispatcher, store, again, [0.5] * EPOCHS)
    assert [ended.failure for ended in dispatcher.ended()] == [None]
    assert store.entry("search", search.key).results["trials"] == 1


def test_a_search_says_what_its_trials_say(dispatcher):
    search = a_search(trials=3)
    dispatcher.submit(search)
    first, second = taken(dispatcher), taken(dispatcher)
    [[key, said]] = dispatcher.said().items()
    assert key == search.key
    assert said["at_work"] == 2
    assert [(trial["number"], trial["epochs"], trial["values"].keys()) for trial in said["of_trials"]] == [
        (0, EPOCHS, {"temperature", "recipe.lr"}),
        (1, EPOCHS, {"temperature", "recipe.lr"}),
    ]
    assert dispatcher.said() == {}, "nothing is new"
    dispatcher.note(second.key, epoch=1, accuracy=0.25, loss=2.5, seconds=1.5)
    [said] = dispatcher.said().values()
    assert ["epoch" in trial for trial in said["of_trials"]] == [False, True]
    assert said["of_trials"][1]["accuracy"] == 0.25
    dispatcher.end(first.key, "no luck")
    [said] = dispatcher.said().values()
    assert [trial["number"] for trial in said["of_trials"]] == [1]
