"""The space of a search: distributions over knobs by dotted name.

alpha        a knob of the method
knobs.beta   a knob of the base, of a method over another
recipe.lr    a knob of the recipe
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, get_args, get_origin, get_type_hints

from kd_core.knobs import Choice, Distribution, IntUniform, Knobs, LogUniform, Uniform
from kd_core.methods.table import METHODS
from kd_core.recipe import Recipe
from orchestrator.jobs import canonical

RECIPE = "recipe"
Space = Mapping[str, Distribution]
Values = dict[str, Any]  # a plain value for every name of a space

KINDS: dict[str, type[Distribution]] = {"uniform": Uniform, "loguniform": LogUniform, "int": IntUniform, "choice": Choice}


def own_space(config: Knobs) -> dict[str, Distribution]:
    """What ``search: auto`` searches: the spaces that the config's class, and those of the configs in it, declare.

    An interval that the value in force lies above, as presets of wrapped methods may, reaches up to twice that value.
    """
    found: dict[str, Distribution] = {
        name: _reaching(distribution, getattr(config, name)) for name, distribution in config.space().items()
    }
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Knobs):
            found |= {f"{field.name}.{name}": distribution for name, distribution in own_space(value).items()}
    return found


def _reaching(distribution: Distribution, value: Any) -> Distribution:
    if isinstance(distribution, Choice) or value is None or value <= distribution.high:
        return distribution
    return replace(distribution, high=2 * value)


def plain(distribution: Distribution) -> dict[str, Any]:
    """``{"loguniform": [0.1, 10]}``"""
    [kind] = [name for name, cls in KINDS.items() if type(distribution) is cls]
    if isinstance(distribution, Choice):
        return {kind: canonical.plain(distribution.values)}
    return {kind: canonical.plain([distribution.low, distribution.high])}


def read(stated: Mapping[str, Any]) -> Distribution:
    """The distribution whose :func:`plain` form is ``stated``."""
    [(kind, values)] = stated.items()
    return Choice(tuple(values)) if kind == "choice" else KINDS[kind](*values)


def read_space(stated: Mapping[str, Mapping[str, object]]) -> dict[str, Distribution]:
    """The space whose distributions are stated in their :func:`plain` form."""
    return {name: read(distribution) for name, distribution in stated.items()}


def corners(distribution: Distribution) -> tuple[Any, ...]:
    """The ends of an interval, or every choice."""
    return distribution.values if isinstance(distribution, Choice) else (distribution.low, distribution.high)


def points(space: Space) -> Iterator[Values]:
    """Every point of a space of choices and integers; the last name varies fastest."""
    axes = [
        distribution.values if isinstance(distribution, Choice) else range(distribution.low, distribution.high + 1)
        for distribution in space.values()
        if not isinstance(distribution, Uniform)
    ]
    assert len(axes) == len(space), "a continuous knob has no points"
    return (dict(zip(space, values, strict=True)) for values in itertools.product(*axes))


def changed(config: Knobs, recipe: Recipe, values: Mapping[str, object]) -> tuple[Knobs, Recipe]:
    """A method's config and a recipe with other values, which are as YAML or JSON has them.

    Raises:
        ValueError: where a knob does not allow its value, or it is of another kind, or values do not go together.
    """
    own: Values = {}
    inner: Values = {}
    training: Values = {}
    for name, value in values.items():
        group, _, rest = name.rpartition(".")
        {"": own, "knobs": inner, RECIPE: training}[group][rest] = value
    if inner:
        own["knobs"] = {**canonical.plain(config.knobs), **inner}  # type: ignore[attr-defined]
    return config.but(own), recipe.but(training)


def _holder(config: Knobs, recipe: Recipe, name: str) -> tuple[Any, str]:
    """The config that has a knob, and the knob's name in it."""
    group, _, rest = name.rpartition(".")
    return {"": config, "knobs": getattr(config, "knobs", None), RECIPE: recipe}[group], rest


def held(config: Knobs, recipe: Recipe, name: str) -> Any:
    """The value of a knob by its dotted name."""
    return getattr(*_holder(config, recipe, name))


def unsuited(distribution: Distribution, config: Knobs, recipe: Recipe, name: str) -> str:
    """Why a knob cannot be drawn from a distribution of that kind; empty where it can, or there is no such knob."""
    holder, knob = _holder(config, recipe, name)
    hint = get_type_hints(type(holder)).get(knob, float)
    numbers = {int, float} & {hint, *get_args(hint)} if get_origin(hint) is not tuple else set()
    if isinstance(distribution, Choice) or float in numbers or (numbers and isinstance(distribution, IntUniform)):
        return ""
    return f"`{knob}` is {'a whole number: use int or choice' if numbers else 'no number: use choice'}"


def defaults(space: Space, config: Knobs, recipe: Recipe) -> Values | None:
    """The point of the space at which a config and a recipe stand; None where they stand outside it."""
    here = {name: held(config, recipe, name) for name in space}
    return here if all(_on(distribution, here[name]) for name, distribution in space.items()) else None


def _on(distribution: Distribution, value: Any) -> bool:
    """Whether a distribution, perhaps with values as YAML has them, holds the value of a config."""
    if isinstance(distribution, Choice):
        return canonical.text(value) in map(canonical.text, distribution.values)
    return distribution.holds(value)


def stands_at(student: Mapping[str, Any], space: Space) -> Values:
    """The values that the plain config of a student has for the knobs of a space."""
    method = student["method"]
    config = canonical.from_plain(METHODS[method["name"]].Config, method["knobs"])
    recipe = canonical.from_plain(Recipe, student["recipe"])
    return {name: canonical.plain(held(config, recipe, name)) for name in space}


def applied(student: Mapping[str, Any], values: Mapping[str, object]) -> dict[str, Any]:
    """The plain config of a student (``recipe``, ``method.knobs``, …) with other values."""
    method, recipe = {**student["method"], "knobs": dict(student["method"]["knobs"])}, dict(student["recipe"])
    for name, value in canonical.plain(values).items():
        group, _, rest = name.rpartition(".")
        if group == RECIPE:
            recipe[rest] = value
        elif group:
            method["knobs"][group] = {**method["knobs"][group], rest: value}
        else:
            method["knobs"][rest] = value
    return {**student, "method": method, "recipe": recipe}
