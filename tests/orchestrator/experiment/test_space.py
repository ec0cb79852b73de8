"""Spaces: what is written is what is read, and what they hold the knobs allow."""

from __future__ import annotations

import pytest

from kd_core.knobs import Choice, IntUniform, LogUniform, Uniform
from kd_core.methods.mgd import MGD
from kd_core.methods.table import METHODS
from kd_core.recipe import Recipe
from orchestrator.experiment.space import applied, changed, corners, defaults, own_space, plain, points, read_space
from orchestrator.jobs import canonical

RECIPE = Recipe(epochs=30)


def a_student(config, recipe=RECIPE):
    return {"model": "resnet8", "recipe": canonical.plain(recipe), "method": {"name": "x", "knobs": canonical.plain(config)}}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_s_own_space_is_read_as_it_is_written(name):
    space = own_space(METHODS[name].Config())
    assert read_space({knob: plain(distribution) for knob, distribution in space.items()}) == space


@pytest.mark.parametrize("name", METHODS)
def test_every_corner_of_a_method_s_own_space_is_a_config_and_the_plain_form_of_it(name):
    config = METHODS[name].Config()
    for knob, distribution in {**own_space(config), "recipe.lr": LogUniform(0.01, 0.1)}.items():
        for value in corners(distribution):
            other, recipe = changed(config, RECIPE, {knob: value})
            assert applied(a_student(config), {knob: value}) == a_student(other, recipe)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_s_own_space_holds_its_defaults(name):
    config = METHODS[name].Config()
    space = own_space(config)
    assert defaults(space, config, RECIPE) is not None


def test_the_space_of_a_method_over_another_holds_that_of_its_base():
    space = own_space(MGD.Config(base="at"))
    assert "gamma" in space
    assert "knobs.beta" in space


def test_a_config_outside_the_space_has_no_place_in_it():
    config = METHODS["kd"].Config(temperature=20)
    assert defaults({"temperature": Uniform(1, 8)}, config, RECIPE) is None
    assert defaults({"temperature": Uniform(1, 32)}, config, RECIPE) == {"temperature": 20}


def test_what_a_knob_does_not_allow_is_refused():
    with pytest.raises(ValueError, match="`temperature` must be > 0, but got -1"):
        changed(METHODS["kd"].Config(), RECIPE, {"temperature": -1})
    with pytest.raises(ValueError, match="`warmup` must be < epochs"):
        changed(METHODS["kd"].Config(), RECIPE, {"recipe.warmup": 30})


def test_points_are_all_combinations_the_last_name_first():
    found = list(points({"a": IntUniform(1, 2), "b": Choice(("x", "y"))}))
    assert found == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
