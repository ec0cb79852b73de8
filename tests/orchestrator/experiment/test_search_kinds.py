"""Every knob in every kind of space: what is loaded can be tried, and what cannot be tried is refused at its line."""

from __future__ import annotations

import json
import typing
from dataclasses import fields

import pytest
from ruamel.yaml import YAML

from kd_core.methods.table import METHODS
from kd_core.methods.wrapper import Wrapping
from kd_core.recipe import Recipe
from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError, dotted
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.space import applied, held, read_space
from orchestrator.jobs import canonical
from orchestrator.planning.plan import make
from orchestrator.search.population import perturbed
from orchestrator.search.suggest import suggest

KINDS = {"uniform": [0.5, 0.75], "loguniform": [0.5, 0.75], "int": [1, 2]}
HOW = SearchConfig(trials=4, searcher="random")


class Draw:
    """Of a choice, the last; of a population's factors, the first."""

    def choice(self, values):
        return values[-1]


def knobs(cls, but=()):
    """The names of its knobs, with their types."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls) if field.name not in but}


def searched(name, distributions, tmp_path):
    """The plan of a student whose method has such a space."""
    document = {
        "name": "x",
        "data": {"name": "digits"},
        "teachers": {"models": ["resnet8"]},
        "students": {
            "models": ["resnet8"],
            "recipe": {"epochs": 8},
            "methods": [{name: {"search": {"space": distributions}}}],
        },
    }
    file = tmp_path / "x.yaml"
    file.write_text(json.dumps(document).replace("Infinity", ".inf"))
    return make(load(str(file)))


def tried(plan):
    """Sees that every value that the search suggests is one of a config. The names of its space."""
    [search] = plan.of("search")
    space, student = read_space(search.config["space"]), search.config["student"]
    method = METHODS[student["method"]["name"]].Config
    for number in range(3):
        values = suggest(space, HOW, number, [])
        perturbed_values = {knob: perturbed(space[knob], value, Draw()) for knob, value in values.items()}
        for found in [{knob: value} for some in (values, perturbed_values) for knob, value in some.items()]:
            with_them = applied(student, found)
            config = canonical.from_plain(method, with_them["method"]["knobs"])
            recipe = canonical.from_plain(Recipe, with_them["recipe"])
            assert {knob: canonical.plain(held(config, recipe, knob)) for knob in found} == canonical.plain(found)
    return set(space)


@pytest.mark.parametrize("name", METHODS)
def test_every_knob_of_a_method_and_of_the_recipe_can_be_a_choice(name, tmp_path):
    config = METHODS[name].Config()
    own = knobs(type(config), ("base", "knobs") if isinstance(config, Wrapping) else ())
    recipe = knobs(Recipe, ("epochs",))
    space = {knob: {"choice": [canonical.plain(getattr(config, knob))]} for knob in own}
    space["recipe"] = {knob: {"choice": [canonical.plain(getattr(Recipe(), knob))]} for knob in recipe}
    if isinstance(config, Wrapping):
        inner = knobs(type(config.inner))
        space["knobs"] = {knob: {"choice": [canonical.plain(getattr(config.inner, knob))]} for knob in inner}
    plan = searched(name, space, tmp_path)
    everything = {*own, *(f"recipe.{knob}" for knob in recipe), *(f"knobs.{knob}" for knob in space.get("knobs", ()))}
    assert tried(plan) == everything
    [search] = plan.of("search")
    assert search.config["defaults"] is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METHODS)
def test_a_knob_that_is_no_such_number_is_refused_and_every_other_can_be_drawn(name, kind, tmp_path):
    config = METHODS[name].Config()
    own = knobs(type(config), ("base", "knobs") if isinstance(config, Wrapping) else ())
    every = {**own, **{f"recipe.{knob}": hint for knob, hint in knobs(Recipe, ("epochs",)).items()}}
    taken = {float} if kind != "int" else {int, float}
    unfit = {knob for knob, hint in every.items() if not taken & {hint, *typing.get_args(hint)} or "tuple" in str(hint)}
    space = {knob: {kind: KINDS[kind]} for knob in own}
    space["recipe"] = {knob.removeprefix("recipe."): {kind: KINDS[kind]} for knob in every if knob not in own}
    with pytest.raises(SpecError) as refused:
        searched(name, space, tmp_path)
    told = {dotted(problem.path).rpartition("search.space.")[2]: problem.message for problem in refused.value.problems}
    assert unfit <= told.keys()
    for knob in unfit:
        assert "number" in told[knob], (knob, told[knob])
    rest = {knob: {kind: KINDS[kind]} for knob in own if knob not in told}
    rest["recipe"] = {
        knob.removeprefix("recipe."): {kind: KINDS[kind]} for knob in every if knob not in own and knob not in told
    }
    assert rest["recipe"]
    tried(searched(name, rest, tmp_path))


CHOICES = {
    "levels: {choice: [[1, 0.5, 0.1], [1, 1, 1]]}": [[1, 0.5, 0.1], [1, 1, 1]],
    "tau_probe: {choice: [.inf, 2]}": ["inf", 2],
    "recipe: {clip: {choice: [null, 1]}}": [None, 1],
    "recipe: {milestones: {choice: [null, [2, 4]]}}": [None, [2, 4]],
    "recipe: {nesterov: {choice: [true, false]}}": [True, False],
    "recipe: {schedule: {choice: [cosine, linear]}}": ["cosine", "linear"],
}


@pytest.mark.parametrize("space", CHOICES)
def test_choices_of_several_values_are_drawn(space, tmp_path):
    plan = searched("gpac", YAML(typ="safe").load(space), tmp_path)
    tried(plan)
    [search] = plan.of("search")
    [stated] = search.config["space"].values()
    assert stated == {"choice": CHOICES[space]}


WRONG = {
    "levels: {choice: [[1, a]]}": "levels: `levels` must be of type tuple[float, ...], but got [1, 'a']",
    "levels: {choice: [1]}": "levels: `levels` must be of type tuple[float, ...], but got 1",
    "beta: {choice: [much]}": "beta: `beta` must be of type float, but got 'much'",
    "recipe: {nesterov: {choice: [2]}}": "recipe.nesterov: `nesterov` must be of type bool, but got 2",
}


@pytest.mark.parametrize("space", WRONG)
def test_a_value_of_another_kind_is_refused_by_name(space, tmp_path):
    with pytest.raises(SpecError) as refused:
        searched("gpac", YAML(typ="safe").load(space), tmp_path)
    assert WRONG[space] in str(refused.value)
