"""How the time that is left is told."""

from __future__ import annotations

import math

import pytest

from orchestrator.cli.time_left import FOLLOW_S, Left, Lost, TimeLeft


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 0, "less than 5 s"),
        (3, 4, "less than 5 s"),
        (40, 55, "40 to 55 s"),
        (60, 60, "about 60 s"),
        (130, 200, "2 to 4 min"),
        (3000, 3600, "50 to 60 min"),
        (5000, 9000, "1 to 2.5 h"),
        (2 * 86400, 3 * 86400, "2 to 3 d"),
        (10, 400, "less than 7 min"),
        (9, 35, "5 to 35 s"),
    ],
)
def test_a_range_in_one_unit_and_as_coarse_as_it_is_wide(low, high, words):
    assert str(Left(low, high)) == words


@pytest.mark.parametrize(
    ("low", "words"), [(0, "more than can be told yet"), (130, "at least 2 min"), (7000, "at least 1.5 h")]
)
def test_where_jobs_are_unknown_the_lower_bound_alone(low, words):
    assert str(Left(low, 9 * low, unknown=2)) == words


def test_what_is_told_follows_what_is_estimated_and_does_not_jump():
    left = TimeLeft()
    assert left.now(0.0) is None
    left.estimated(50, 60, 0, 0.0)
    assert left.now(10.0) == Left(40, 50), "time goes by"
    left.estimated(180, 240, 0, 12.0)  # ends at 192 to 252, in place of 50 to 60
    part = 1 - math.exp(-12 / FOLLOW_S)
    shown = left.now(12.0)
    assert (shown.low, shown.high) == (pytest.approx(38 + part * 142), pytest.approx(48 + part * 192))
    for second in range(13, 120):
        left.estimated(192 - second, 252 - second, 0, float(second))
    assert left.now(120.0).low == pytest.approx(72, abs=1), "in the end it is what is estimated"
    assert left.now(500.0) == Left(0, 0), "never below nothing"


def test_once_all_is_known_what_was_told_before_does_not_count():
    left = TimeLeft()
    left.estimated(5, 5, 3, 0.0)
    left.estimated(500, 600, 0, 2.0)
    assert left.now(2.0) == Left(500, 600)


def test_what_gets_lost_besides_the_work():
    lost = Lost()
    assert (lost.start, lost.factor(100, 50)) == (0, 1)
    lost.opened(10)
    lost.heard(22)
    lost.opened(30)
    assert lost.start == 12
    assert lost.factor(2, 100) == 1, "too little to tell"
    assert lost.factor(20, 52) == 1.5
    assert lost.factor(50, 52) == 1, "never faster than its jobs"
    assert lost.factor(10, 999) == 4
