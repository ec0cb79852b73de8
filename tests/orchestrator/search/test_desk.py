"""The desk: what is handed out, in which order, and how searches close. Nothing is trained."""

from __future__ import annotations

import dataclasses
import math

import pytest

from orchestrator.executors.dispatcher import Desk
from orchestrator.search.study import Study
from orchestrator.stages.runner import Place
from orchestrator.store.store import Store
from tests.orchestrator.search.searches import EPOCHS, a_search, choices, finish_trial
from tests.orchestrator.world import a_plan


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def desk(store):
    return Desk(store, lambda job: Place(store.place, store.root))


def taken(desk):
    """The job that is handed out, or None."""
    found = desk.take()
    return found and found[0]


def train(desk, store, job, accuracies):
    """Run a trial that reaches these accuracies, or is ended early; its epochs."""
    for epoch, accuracy in enumerate(accuracies, start=1):
        if desk.report(job.key, {"epoch": epoch, "accuracy": accuracy, "seconds": 1.0}):
            desk.end(job.key)
            return epoch
    finish_trial(store, job, accuracies)
    desk.end(job.key)
    return len(accuracies)


def test_students_are_handed_out_in_their_order_and_end_as_they_are_told(desk):
    first, second = a_plan().of("student")[:2]
    desk.submit(first)
    desk.submit(second)
    assert [taken(desk), taken(desk), taken(desk)] == [first, second, None]
    desk.end(second.key, "no luck")
    desk.end(first.key)
    assert [(ended.job, ended.failure) for ended in desk.ended()] == [(second, "no luck"), (first, None)]
    assert desk.open == 0
    assert desk.idle


def test_higher_priority_goes_first(store):
    students = a_plan().of("student")
    wanted = {job.key: index for index, job in enumerate(students)}
    desk = Desk(store, lambda job: Place(store.place, store.root), lambda job: wanted[job.key])
    for job in students:
        desk.submit(job)
    assert [taken(desk) for _ in students] == students[::-1]


def test_what_lies_below_the_floor_waits(store):
    """Priorities: the search 3, the students 2 and 1."""
    search, (first, second) = a_search(trials=9), a_plan().of("student")[:2]
    wanted = {search.key: 3.0, first.key: 2.0, second.key: 1.0}
    desk = Desk(store, lambda job: Place(store.place, store.root), lambda job: wanted[job.key])
    for job in (second, search, first):
        desk.submit(job)
    desk.floor = 4.0
    assert taken(desk) is None
    assert not desk.ready
    desk.floor = 3.0
    assert desk.ready
    assert taken(desk).kind == "trial"
    wanted[search.key] = 0.0
    desk.floor = 1.5
    assert [taken(desk), taken(desk)] == [first, None]
    assert not desk.ready
    desk.floor = -math.inf
    assert taken(desk) == second
    assert taken(desk).kind == "trial"


def test_searches_share_what_there_is_and_close_one_by_one(desk, store):
    one, other = a_search(choices(3), searcher="grid", title="one"), a_search(trials=3, seed=1, scheduler="none", title="other")
    desk.submit(one)
    desk.submit(other)
    at_work = [taken(desk) for _ in range(4)]
    owners = [job.title.rpartition(" of ")[2] for job in at_work]
    assert sorted(owners) == ["one", "one", "other", "other"]
    ended = []
    while at_work:
        train(desk, store, at_work.pop(0), [0.1] * EPOCHS)
        ended += desk.ended()
        if job := taken(desk):
            at_work.append(job)
    assert {found.job.key for found in ended} == {one.key, other.key}
    assert not any(found.failure for found in ended)
    assert store.entry("search", one.key).results["trials"] == 3


def test_successive_halving_by_hand(desk, store):
    """Nine epochs, reduction 3: rungs at epochs 1, 3 and 9. The cutoff of a rung is the 2/3 quantile of what reached it before.

    Trial 0 (0.5 throughout) meets empty rungs and goes through. Trial 1 with 0.4 is below 0.5 at epoch 1 and ends there. Trial
    2 has 0.6 at epoch 1, above the quantile of (0.5, 0.4), but only 0.45 at epoch 3, below 0.5, and ends there.
    """
    desk.submit(a_search(trials=3))
    lengths = [
        train(desk, store, taken(desk), accuracies) for accuracies in ([0.5] * 9, [0.4] * 9, [0.6, 0.45, 0.45] + [0.9] * 6)
    ]
    assert lengths == [9, 1, 3]
    [ended] = desk.ended()
    results = store.entry("search", ended.job.key).results
    assert (results["trials"], results["stopped"], results["trial"]) == (3, 2, 0)


def test_two_searches_are_judged_apart(desk, store):
    """The second search's trials are all worse than the first's, but none of its own was better before: none ends early."""
    strong, weak = a_search(trials=2, title="strong"), a_search(trials=2, seed=1, title="weak")
    desk.submit(strong)
    for _ in range(2):
        assert train(desk, store, taken(desk), [0.9] * EPOCHS) == EPOCHS
    desk.submit(weak)
    for _ in range(2):
        assert train(desk, store, taken(desk), [0.1] * EPOCHS) == EPOCHS


def test_a_search_that_goes_on_judges_by_what_was_before(desk, store):
    search = a_search(trials=2)
    desk.submit(search)
    train(desk, store, taken(desk), [0.5] * EPOCHS)
    after = Desk(store, lambda job: Place(store.place, store.root))
    after.submit(search)
    assert train(after, store, taken(after), [0.4] * EPOCHS) == 1


def test_the_last_epoch_is_not_judged(desk, store):
    """At the rung of epoch 9 a trial is whole, however bad it is."""
    desk.submit(a_search(trials=2))
    assert train(desk, store, taken(desk), [0.5] * 9) == 9
    assert train(desk, store, taken(desk), [0.5] * 8 + [0.1]) == 9


def test_median_ends_what_stays_below_the_others(desk, store):
    """Grace 2, three samples needed: the fourth trial's best, 0.3, is below the median 0.5 at epoch 2."""
    desk.submit(a_search(trials=4, scheduler="median", grace=2))
    lengths = [train(desk, store, taken(desk), [accuracy] * EPOCHS) for accuracy in (0.4, 0.5, 0.6, 0.3)]
    assert lengths == [9, 9, 9, 2]


def test_a_trial_that_fails_is_written_down_and_the_search_goes_on(desk, store):
    search = a_search(trials=2)
    desk.submit(search)
    desk.end(taken(desk).key, "loss is nan")
    train(desk, store, taken(desk), [0.5] * EPOCHS)
    desk.ended()
    assert store.entry("search", search.key).results["failed"] == 1


def test_two_searches_that_try_the_same_values_run_them_once(desk, store):
    here = {"temperature": 4, "recipe.lr": 0.05}
    one, other = a_search(trials=1, defaults=here), a_search(trials=1, defaults=here, scheduler="none")
    assert one.key != other.key
    desk.submit(one)
    desk.submit(other)
    job = taken(desk)
    assert taken(desk) is None
    train(desk, store, job, [0.5] * EPOCHS)
    again = taken(desk)
    assert again.key == job.key
    desk.end(again.key)  # run_job finds it done
    assert {ended.job.key for ended in desk.ended()} == {one.key, other.key}


def test_what_ended_before_the_search_could_close_is_closed_when_it_is_opened(desk, store):
    search = a_search(trials=1)
    study = Study(search, store)
    job = study.job_of(study.ask())
    finish_trial(store, job, [0.5] * EPOCHS)
    desk.submit(search)
    assert taken(desk).key == job.key
    desk.end(job.key)
    assert [ended.job for ended in desk.ended()] == [search]

    told = Study(dataclasses.replace(a_search(trials=1, seed=3)), store)
    trial = told.ask()
    told.tell(trial.number, "done", (0.5,), 1.0)
    desk.submit(told.job)
    assert [ended.job.key for ended in desk.ended()] == [told.job.key]


def test_out_of_gpu_memory_a_job_gets_twice_the_share_twice_and_then_fails(store):
    student = a_plan().of("student")[0]
    desk = Desk(store, lambda job: Place(store.place, store.root, gpus=0.25))
    desk.submit(student)
    shares = []
    for _ in range(3):
        job, place = desk.take()
        shares.append(place.gpus)
        desk.end(job.key, "out of GPU memory", out_of_memory=True)
    assert shares == [0.25, 0.5, 1.0]
    assert desk.take() is None
    assert [ended.failure for ended in desk.ended()] == ["out of GPU memory"]


def test_a_trial_with_a_larger_share_is_the_same_trial(store):
    desk = Desk(store, lambda job: Place(store.place, store.root, gpus=0.5))
    search = a_search(trials=1)
    desk.submit(search)
    job, _ = desk.take()
    desk.end(job.key, "out of GPU memory", out_of_memory=True)
    desk.floor = 1.0  # above the priority of the search
    assert desk.take() is None
    assert not desk.ready
    desk.floor = 0.0
    assert desk.ready
    again, place = desk.take()
    assert (again.key, place.gpus, place.too_small) == (job.key, 1.0, (0.5,))
    train(desk, store, again, [0.5] * EPOCHS)
    assert [ended.failure for ended in desk.ended()] == [None]
    assert store.entry("search", search.key).results["trials"] == 1
