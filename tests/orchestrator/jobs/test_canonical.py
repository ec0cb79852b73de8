"""Canonical JSON: one text for one meaning."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.recipe import Recipe
from orchestrator.jobs import canonical


def test_text_by_hand():
    assert canonical.text({"b": (1.0, 2.5), "a": None, "c": True}) == '{"a":null,"b":[1,2.5],"c":true}'


def test_whole_floats_and_ints_mean_the_same():
    assert canonical.digest({"beta": 1000.0}) == canonical.digest({"beta": 1000})


def test_true_is_not_one():
    assert canonical.digest({"flip": True}) != canonical.digest({"flip": 1})


def test_infinity_has_a_form_and_nan_has_none():
    assert canonical.text([math.inf, -math.inf]) == '["inf","-inf"]'
    with pytest.raises(TypeError, match="nan"):
        canonical.text(math.nan)


def test_sha256_is_stable_over_releases():
    # echo -n '{"a":1}' | sha256sum
    assert canonical.digest({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


@dataclass(frozen=True)
class Nested:
    tau: float = 1.0
    levels: tuple[float, ...] = (1.0, 0.5)
    top: int | None = None


@given(
    st.builds(
        Nested,
        tau=st.floats(allow_nan=False),
        levels=st.lists(st.floats(allow_nan=False), max_size=4).map(tuple),
        top=st.none() | st.integers(0, 9),
    )
)
def test_revive_inverts_plain(value):
    revived = canonical.from_plain(Nested, canonical.plain(value))
    assert revived == value
    assert isinstance(revived.tau, float)


def test_a_recipe_survives():
    recipe = Recipe(epochs=30, milestones=(10, 20), lr=1.0)
    assert canonical.from_plain(Recipe, canonical.plain(recipe)) == recipe


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(DOCUMENTS)
def test_what_is_loaded_plain_has_the_digest_of_what_was_written(document):
    loaded = canonical.loads(json.dumps(document).encode())
    assert loaded == canonical.plain(loaded)
    assert canonical.digest_of_plain(loaded) == canonical.digest(document)


def test_nan_is_not_loaded():
    with pytest.raises(ValueError, match="NaN"):
        canonical.loads(b'{"loss": NaN}')
