"""What a search comes to, by hand."""

from __future__ import annotations

import pytest

from orchestrator.experiment.spec import Resources
from orchestrator.jobs.job import Job
from orchestrator.planning.estimate import Estimator
from orchestrator.planning.plan import Plan
from orchestrator.planning.schedule import Machine
from orchestrator.search.cost import Cost, cost
from orchestrator.store.store import Store
from tests.support.searches import a_search, choices
from tests.support.world import finish_job


def test_by_hand():
    """Nine epochs. asha: 1 epoch for all, 2 more for a third, 6 more for a ninth: 1 + 2/3 + 6/9; median: half end after 1."""
    assert cost(a_search(trials=20, scheduler="none").config) == Cost(20, 1.0)
    asha = cost(a_search(trials=20, scheduler="asha", grace=1, reduction=3, parallel=4).config)
    assert (asha.trials, asha.part, asha.width) == (20, pytest.approx((1 + 2 / 3 + 6 / 9) / 9), 4)
    assert cost(a_search(trials=20, scheduler="median", grace=1).config).part == pytest.approx((1 + 1 / 9) / 2)
    assert cost(a_search(choices(7), searcher="grid", scheduler="none").config) == Cost(7, 1.0)
    population = cost(a_search(trials=6, scheduler="pbt", interval=3).config)
    assert population == Cost(18, pytest.approx(1 / 3), 6, rounds=True)


def estimated(tmp_path, machine, said=None, **how):
    """A search of which a whole trial takes 9 s, measured as a student; its only teacher is done."""
    search = a_search(**how)
    student = Job("student", 1, search.config["student"], search.parents, "winner")
    store = Store(tmp_path / "store")
    finish_job(store, student, seconds=9)
    winner = Job("student", 1, {**student.config, "seed": 1}, {**search.parents, "searches": [search.key]}, "winner")
    teacher = Job("teacher", 1, {**student.config, "seed": 5}, {}, "teacher")
    plan = Plan("toy", {teacher.key: teacher, search.key: search, winner.key: winner, "0" * 64: teacher})
    estimator = Estimator(Resources())
    estimator.learn_all(store)
    return search, estimator.estimate(plan, [search, winner], {search.key: said or {}}, machine)


def test_trials_share_the_machine_and_the_winner_waits_for_all(tmp_path):
    search, found = estimated(tmp_path, Machine(2), trials=4, scheduler="none")
    assert found.seconds[search.key] == pytest.approx(36)
    assert found.total == pytest.approx(18 + 9), "two at a time, and then the winner"
    assert [job.title for job in found.path] == ["search of toy", "winner"]
    assert found.path_seconds == pytest.approx(9 + 9), "one trial, and then the winner"
    assert not found.guessed


def test_what_was_tried_is_not_tried_again(tmp_path):
    search, found = estimated(tmp_path, Machine(2), {"trials": 4, "ended": 3}, trials=4, scheduler="none")
    assert found.seconds[search.key] == pytest.approx(9)
    assert found.total == pytest.approx(18)


def test_no_more_than_are_allowed_at_a_time(tmp_path):
    _, found = estimated(tmp_path, Machine(8), trials=4, scheduler="none", parallel=1)
    assert found.total == found.path_seconds == pytest.approx(36 + 9)


def test_a_generation_waits_for_the_one_before(tmp_path):
    _, found = estimated(tmp_path, Machine(64), trials=6, scheduler="pbt", interval=3)
    assert found.total == found.path_seconds == pytest.approx(3 * 3 + 9)
