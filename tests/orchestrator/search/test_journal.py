"""What is read of a search's trials, and how many there are to be."""

from __future__ import annotations

import pytest

from kd_core.knobs import Choice, IntUniform, Uniform
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.space import points, stands_at
from orchestrator.search.budget import planned
from orchestrator.search.journal import trials_so_far, written
from tests.support.search_world import a_trial, a_world, begin_search, finish_search


def test_done_or_not_the_trials_are_the_same(tmp_path):
    plan, store = a_world(tmp_path)
    [search] = plan.of("search")
    assert trials_so_far(search, store) == []
    begin_search(store, search, 7)
    before = trials_so_far(search, store)
    assert before == [a_trial(number) for number in range(7)]
    finish_search(store, search)
    assert written(search, store) == []
    assert trials_so_far(search, store) == before


def test_what_is_behind_a_lost_trial_does_not_count(tmp_path):
    plan, store = a_world(tmp_path)
    [search] = plan.of("search")
    begin_search(store, search, 5)
    known = {}
    assert len(written(search, store, known)) == len(known) == 5
    store.work(search).remove("trials/00002.json")
    assert [trial.number for trial in written(search, store)] == [0, 1]
    assert [trial.number for trial in written(search, store, known)] == [0, 1], "whatever was known"


def test_only_what_has_not_ended_is_read_again(tmp_path, monkeypatch):
    plan, store = a_world(tmp_path)
    [search] = plan.of("search")
    begin_search(store, search, 3, at_work=1)
    known, read = {}, []
    original = store.read_work
    monkeypatch.setattr(store, "read_work", lambda job, name: read.append(name) or original(job, name))
    first = written(search, store, known)
    assert len(read) == 4
    assert written(search, store, known) == first
    assert read[4:] == ["trials/00003.json"]


@pytest.mark.parametrize(
    ("how", "space", "count"),
    [
        ({"trials": 12}, {"a": Uniform(0, 1)}, 12),
        ({"trials": 2, "searcher": "grid"}, {"a": IntUniform(2, 4), "b": Choice((1, 2))}, 6),
        ({"trials": 4, "scheduler": "pbt", "interval": 2}, {"a": Uniform(0, 1)}, 20),  # 9 epochs: five generations
    ],
)
def test_how_many_trials(how, space, count):
    assert planned(SearchConfig(**how), space, 9) == count
    if how.get("searcher") == "grid":
        assert count == len(list(points(space)))


def test_where_a_student_stands(tmp_path):
    plan, _ = a_world(tmp_path)
    student = plan.of("student")[0].config
    space = {"temperature": Uniform(1, 8), "recipe.lr": Uniform(0, 1)}
    assert stands_at(student, space) == {"temperature": 4, "recipe.lr": 0.05}
    later = {"recipe.label_smoothing": Uniform(0, 1)}  # in no config at its default
    assert stands_at(student, later) == {"recipe.label_smoothing": 0}
    wrapped = {"recipe": {}, "method": {"name": "mgd", "knobs": {"base": "at", "gamma": 2, "knobs": {"beta": 7}}}}
    assert stands_at(wrapped, {"knobs.beta": Uniform(0, 9), "gamma": Uniform(0, 9)}) == {"knobs.beta": 7, "gamma": 2}
