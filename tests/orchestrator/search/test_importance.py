"""Which knobs mattered."""

from __future__ import annotations

import random

import pytest

from kd_core.knobs import Choice, IntUniform, LogUniform, Uniform
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.search.importance import importances, why_no_importances
from orchestrator.search.trial import DONE, STOPPED, Trial

SPACE = {"a": Uniform(0, 1), "b": LogUniform(0.01, 1), "c": IntUniform(1, 4), "d": Choice((True, None, "x"))}


def tried(accuracy, count=30, state=DONE, seed=0):
    draw = random.Random(seed)
    found = []
    for number in range(count):
        values = {
            "a": draw.random(),
            "b": 10 ** draw.uniform(-2, 0),
            "c": draw.randint(1, 4),
            "d": draw.choice((True, None, "x")),
        }
        found.append(Trial(number, values, "", state, (accuracy(values),)))
    return found


@pytest.mark.parametrize(
    ("knob", "accuracy"),
    [
        ("a", lambda values: values["a"]),
        ("b", lambda values: abs(values["b"] - 0.1)),
        ("c", lambda values: values["c"] / 4),
        ("d", lambda values: float(values["d"] is None)),
    ],
)
def test_the_knob_that_decides_leads_and_the_shares_add_up(knob, accuracy):
    trials = tried(accuracy)
    found = importances(SPACE, trials)
    assert next(iter(found)) == knob
    assert found[knob] > 0.6
    assert sum(found.values()) == pytest.approx(1)
    assert found.keys() == SPACE.keys()
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert importances(SPACE, trials) == found


def test_trials_that_were_stopped_do_not_count():
    whole = tried(lambda values: values["a"])
    stopped = tried(lambda values: values["c"] / 4, state=STOPPED, seed=1)
    assert importances(SPACE, whole + stopped) == importances(SPACE, whole)


def test_when_nothing_can_be_told():
    how, trials = SearchConfig(), tried(lambda values: values["a"])
    assert why_no_importances(how, SPACE, trials) == ""
    assert why_no_importances(how, SPACE, trials[:5]) == ""
    assert why_no_importances(how, SPACE, trials[:4]) == "4 of the trials came to their end, 5 are needed"
    assert why_no_importances(how, {"a": SPACE["a"]}, trials) == "one knob alone explains everything"
    assert why_no_importances(how, SPACE, tried(lambda values: 0.5)) == "all trials reached the same accuracy"
    assert why_no_importances(SearchConfig(scheduler="pbt"), SPACE, trials).startswith("what a member of a population reaches")
