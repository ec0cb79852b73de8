"""Generations, worked by hand."""

from __future__ import annotations

import random

import pytest

from kd_core.knobs import Choice, IntUniform, LogUniform, Uniform
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.search.population import generations, offspring, perturbed, span
from orchestrator.search.trial import DONE, FAILED, Trial

SPACE = {"temperature": Uniform(1, 8)}
HOW = SearchConfig(trials=4, scheduler="pbt")


def last(*accuracies, state=DONE):
    """A generation whose members ended so; trial i has temperature i + 2."""
    return [Trial(i, {"temperature": i + 2}, f"{i}", state, (accuracy,)) for i, accuracy in enumerate(accuracies)]


def test_the_worst_quarter_goes_on_from_the_best_the_others_as_they_are():
    """Of four members one is replaced: trial 2 is the worst, trial 1 the best, so it copies 3 · 0.8 or 3 · 1.2."""
    members = [offspring(SPACE, HOW, last(0.5, 0.9, 0.1, 0.6), index) for index in range(4)]
    assert [member.parent for member in members] == [0, 1, 1, 3]
    assert [member.values["temperature"] for member in members[:2]] == [2, 3]
    assert members[2].values["temperature"] in (pytest.approx(2.4), pytest.approx(3.6))
    assert members == [offspring(SPACE, HOW, last(0.5, 0.9, 0.1, 0.6), index) for index in range(4)]


def test_what_failed_is_replaced_and_where_all_failed_nothing_is_left():
    some = [*last(0.5, 0.9, 0.6), Trial(3, {"temperature": 5}, "3", FAILED)]
    assert offspring(SPACE, HOW, some, 3).parent == 1
    assert offspring(SPACE, HOW, last(0.5, 0.5, 0.5, 0.5, state=FAILED), 0) is None


def test_of_equals_the_earlier_leads():
    assert offspring(SPACE, HOW, last(0.5, 0.5, 0.5, 0.5), 3).parent == 0


def test_generations_cover_the_epochs():
    how = SearchConfig(trials=4, scheduler="pbt", interval=4)
    assert generations(how, 10) == 3
    assert [span(how, 10, generation) for generation in range(3)] == [(0, 4), (4, 8), (8, 10)]
    assert generations(HOW, 10) == 5  # by default a fifth of the epochs


@pytest.mark.parametrize("distribution", [Uniform(1, 8), LogUniform(0.1, 2), IntUniform(1, 3), Choice(("a", "b", "c"))])
def test_what_is_perturbed_stays_in_the_space(distribution):
    draw = random.Random(0)
    value = distribution.values[0] if isinstance(distribution, Choice) else distribution.high
    seen = set()
    for _ in range(200):
        value = perturbed(distribution, value, draw)
        assert distribution.holds(value)
        seen.add(value)
    assert len(seen) > 2 or isinstance(distribution, IntUniform | Choice)
