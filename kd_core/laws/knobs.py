"""Laws of every entry that has knobs."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from kd_core.knobs import Bounds, Knobs
from kd_core.laws.law import Broken, Law, must


def documented(entry: type) -> None:
    module = inspect.getmodule(entry)
    must(
        module and (module.__doc__ or "").strip(),
        "its file begins with no docstring: say what it is, and where it is published",
    )


def frozen(entry: Any) -> None:
    config = entry.Config
    must(issubclass(config, Knobs), "its Config does not derive from kd_core.knobs.Knobs")
    own = "__dataclass_fields__" in vars(config) or config is Knobs
    must(own and config.__dataclass_params__.frozen, "its Config must be a dataclass of its own: @dataclass(frozen=True)")


def bounded(entry: Any) -> None:
    for field in dataclasses.fields(entry.Config):
        must("bounds" in field.metadata, f"`{field.name}` is not declared by knob(default, help)")
        must(field.metadata["help"].strip(), f"`{field.name}` has no help")
        for value in outside(field.metadata["bounds"]):
            refused = (value,) if isinstance(field.default, tuple) else value
            try:
                entry.Config(**{field.name: refused})
            except ValueError as error:
                must(f"`{field.name}` must be" in str(error), f"`{field.name}`: {refused!r} is refused in other words: {error}")
            else:
                raise Broken(f"`{field.name}` takes {refused!r}, which its bounds exclude")


def outside(bounds: Bounds) -> list[Any]:
    """Values just outside of each side of the bounds."""
    if bounds.choices is not None:
        return ["no such choice"]
    found = [] if bounds.low is None else [bounds.low - 1]
    found += [] if bounds.high is None else [bounds.high + 1]
    return found + [limit for limit in (bounds.above, bounds.below) if limit is not None]


def searchable(entry: Any) -> None:
    config = entry.Config()
    for name, distribution in config.space().items():
        value = getattr(config, name)
        must(distribution.holds(value), f"`{name}` is searched in {distribution}, which does not hold its default {value!r}")


KNOB_LAWS = {
    "documented": Law("the file begins with a docstring: citation and formula", documented),
    "frozen": Law("its knobs are a frozen dataclass that derives from Knobs", frozen),
    "bounded": Law("every knob has help, and refuses by its name what is out of its bounds", bounded),
    "searchable": Law("the search space of a knob holds its default", searchable),
}
