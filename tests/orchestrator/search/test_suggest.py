"""Suggestions are pure: of the seed, the number and what is known."""

from __future__ import annotations

import pytest

from kd_core.knobs import Choice, IntUniform, LogUniform, Uniform
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.search.suggest import suggest
from orchestrator.search.trial import DONE, FAILED, RUNNING, STOPPED, Trial

SPACE = {
    "alpha": Uniform(0, 2),
    "tau": LogUniform(0.01, 10),
    "top": IntUniform(1, 3),
    "levels": Choice(((1, 0.5, 0.1), (1, 1, 1), None)),
}


def told(number, values, accuracy, state=DONE):
    return Trial(number, values, f"{number:064x}", state, (accuracy / 2, accuracy))


def sequence(how, count, worth):
    """As one at a time makes it."""
    trials = []
    for number in range(count):
        values = suggest(SPACE, how, number, trials)
        trials.append(told(number, values, worth(values)))
    return trials


@pytest.mark.parametrize("searcher", ["tpe", "random"])
def test_suggestions_are_in_the_space_differ_and_are_repeated_by_the_same_seed(searcher):
    how = SearchConfig(searcher=searcher, trials=16)
    first = sequence(how, 16, lambda values: 1 / (1 + values["alpha"]))
    assert [trial.values for trial in sequence(how, 16, lambda values: 1 / (1 + values["alpha"]))] == [
        trial.values for trial in first
    ]
    for trial in first:
        assert all(distribution.holds(trial.values[name]) for name, distribution in SPACE.items()), trial.values
    assert len({str(trial.values) for trial in first}) == 16
    other = sequence(SearchConfig(searcher=searcher, trials=16, seed=1), 16, lambda values: 1.0)
    assert all(mine.values != theirs.values for mine, theirs in zip(first, other, strict=True))


def test_tpe_learns_from_what_was_told_and_random_does_not():
    """The best α is 0. Of 40 trials TPE spends the later ones there."""

    def later(searcher):
        found = sequence(SearchConfig(searcher=searcher, trials=40), 40, lambda values: 1 - values["alpha"] / 2)
        return sum(trial.values["alpha"] for trial in found[20:]) / 20

    assert later("tpe") < 0.4
    assert 0.6 < later("random") < 1.4


@pytest.mark.parametrize("state", [RUNNING, STOPPED, FAILED])
def test_trials_without_a_value_are_known_too(state):
    how = SearchConfig(trials=8)
    trials = [told(0, suggest(SPACE, how, 0, []), 0.5, state)]
    assert suggest(SPACE, how, 1, trials) not in (None, trials[0].values)


def test_a_small_space_is_tried_once_and_then_there_is_nothing_more():
    space = {"top": IntUniform(1, 3), "flag": Choice((True, False))}
    trials = []
    while (values := suggest(space, SearchConfig(trials=50), len(trials), trials)) is not None:
        trials.append(told(len(trials), values, 0.5))
    assert sorted((trial.values["top"], trial.values["flag"]) for trial in trials) == [
        (top, flag) for top in (1, 2, 3) for flag in (False, True)
    ]


def test_a_grid_is_tried_in_its_order():
    space, how = {"top": IntUniform(1, 2), "flag": Choice((True, False))}, SearchConfig(searcher="grid")
    trials = []
    while (values := suggest(space, how, len(trials), trials)) is not None:
        trials.append(told(len(trials), values, 0.5))
    assert [tuple(trial.values.values()) for trial in trials] == [(1, True), (1, False), (2, True), (2, False)]
