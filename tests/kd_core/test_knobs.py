"""Knobs from plain values: what fits, what does not, and in which words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from kd_core.knobs import Knobs, converted, knob


@dataclass(frozen=True)
class Some(Knobs):
    rate: float = knob(1.0, "a rate", above=0)
    count: int = knob(1, "a count", low=1)
    top: int | None = knob(None, "how many, or all")
    levels: tuple[float, ...] = knob((1.0,), "levels", low=0)
    flip: bool = knob(False, "whether")
    name: str = knob("a", "a name")


@pytest.mark.parametrize(
    ("value", "to", "expected"),
    [
        (1, float, 1.0),
        ("inf", float, math.inf),
        ("-inf", float | None, -math.inf),
        ("inf", str, "inf"),
        (["inf", 1], tuple[float, ...], (math.inf, 1.0)),
        ([[1], [2]], tuple[tuple[int, ...], ...], ((1,), (2,))),
        (None, int | None, None),
        ({"a": [1]}, Mapping[str, Any], {"a": [1]}),
        ({"rate": 2, "levels": [1, 0]}, Some, Some(rate=2.0, levels=(1.0, 0.0))),
    ],
)
def test_what_fits(value, to, expected):
    found = converted(value, to)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "to"),
    [
        (True, float),
        (True, int),
        (1, bool),
        (1.5, int),
        ("1", float),
        ("infinite", float),
        (["1"], tuple[float, ...]),
        (None, float),
        ("inf", int),
        ({"rate": 0}, Some),
    ],
)
def test_what_does_not_fit(value, to):
    with pytest.raises(ValueError):
        converted(value, to)


def test_every_wrong_knob_is_told_at_once():
    with pytest.raises(ValueError) as caught:
        Some.parse({"rate": "x", "cuont": 1, "top": 1.5, "flip": 1, "levels": 3})
    assert str(caught.value).split("; ") == [
        "`rate` must be of type float, but got 'x'",
        "no knob named `cuont`, did you mean `count`?",
        "`top` must be of type int | None, but got 1.5",
        "`flip` must be of type bool, but got 1",
        "`levels` must be of type tuple[float, ...], but got 3",
    ]


def test_bounds_are_told_in_their_own_words():
    with pytest.raises(ValueError, match=r"^`rate` must be > 0, but got 0.0; `count` must be >= 1, but got 0$"):
        Some.parse({"rate": 0, "count": 0})


@dataclass(frozen=True)
class Wide(Knobs):
    rate: float = knob(0.1, "a rate", above=0)
    heat: float = knob(1.0, "a temperature", above=0, infinite=True)
    count: int = knob(1, "a number", low=0)
    parts: tuple[float, ...] = knob((1.0,), "factors", low=0)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"rate": math.inf}, "`rate` must be finite, but got inf"),
        ({"rate": 1e40}, "`rate` must be at most 3.40282e+38, with which networks can compute, but got 1e+40"),
        ({"heat": 1e40}, "`heat` must be at most 3.40282e+38"),
        ({"heat": math.nan}, "`heat` must be > 0, but got nan"),
        ({"count": 10**30}, "`count` must be at most 9.22337e+18"),
        ({"parts": (1.0, math.inf)}, "`parts` must be finite, but got (1.0, inf)"),
    ],
)
def test_numbers_that_no_network_can_compute_with(knobs, said):
    with pytest.raises(ValueError) as error:
        Wide(**knobs)
    assert str(error.value).startswith(said)


def test_the_largest_numbers_and_infinity_where_it_means_something():
    Wide(rate=3.4e38, heat=math.inf, count=2**63 - 1, parts=(0.0, 3.4e38))
