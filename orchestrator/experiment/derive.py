"""pydantic models from knobs: one declaration checks Python, validates YAML and writes the JSON Schema.

A field is annotated with what comes out, and one of the markers here says how it is written:

    recipe: Annotated[Recipe, FromKnobs()]                  a section of knobs
    recipe: Annotated[tuple[Recipe, ...], FromKnobs()]      the same, where a list for a knob is an axis of a grid
    data: Annotated[tuple[DataConfig, Place], FromKnobs()] one section that holds the knobs of both
    probes: Annotated[ProbeConfig | None, FromSwitch()]     a section of knobs, or true (all defaults), or false (None)
    calibration: Annotated[C | None, FromSwitch(bare=True)] the same, where the bare name means true
    seeds: Annotated[tuple[Seed, ...], OneOrMany()]         a seed, or a list of different seeds
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema, core_schema

from kd_core.knobs import Bounds, Knobs
from kd_core.plugins.tables import per_tables
from orchestrator.experiment.problems import InvalidValue
from orchestrator.jobs import canonical

ONE, MANY, SWITCH = TAGS = ("(one)", "(many)", "(switch)")  # in a pydantic error's location: as what a value was read
MAX_GRID = 10_000


class Section(BaseModel):
    """A YAML section. Nothing is converted but int to float, and nothing is passed over."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())


def one_or_many(
    item: CoreSchema, is_many: Callable[[object], bool], many: Callable[[list[object]], tuple[object, ...]]
) -> CoreSchema:
    """A value or a list of them, to a tuple; ``many`` makes it of a list."""
    alone = core_schema.no_info_after_validator_function(lambda value: (value,), item)
    listed = core_schema.list_schema(item, min_length=1, metadata={"pydantic_js_updates": {"uniqueItems": True}})
    several = core_schema.no_info_after_validator_function(many, listed)
    return core_schema.tagged_union_schema({ONE: alone, MANY: several}, lambda value: MANY if is_many(value) else ONE)


def distinct(values: list[object]) -> tuple[Any, ...]:
    """The values, which must differ.

    Raises:
        InvalidValue: where two are equal.
    """
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        other = first.setdefault(canonical.text(value), index)
        if other != index:
            raise InvalidValue("is listed twice", at=(index,), like=(other,))
    return tuple(values)


class OneOrMany:
    """``tuple[X, ...]``, written as an X or a list of different X."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        item = handler.generate_schema(typing.get_args(source)[0])
        return one_or_many(item, lambda value: isinstance(value, list), distinct)


@dataclass(frozen=True)
class Groups:
    """``tuple[X, ...]``, written as a section or a list of sections, each a ``model``; a validator makes them into X."""

    model: type[Section]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return one_or_many(handler.generate_schema(self.model), lambda value: isinstance(value, list), tuple)


@dataclass(frozen=True)
class Axis:
    """A knob that may be a list of its values. A list for a tuple knob is one value; a list of lists is an axis."""

    of_tuples: bool

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return one_or_many(handler(source), self.is_axis, distinct)

    def is_axis(self, value: object) -> bool:
        return isinstance(value, list) and (not self.of_tuples or any(isinstance(item, list) for item in value))


@dataclass(frozen=True)
class FromSwitch:
    """``C | None`` of knobs, written as a section, or as true or false; where ``bare``, nothing at all is true."""

    bare: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        cls = typing.get_args(source)[0]
        schema = core_schema.nullable_schema(core_schema.bool_schema()) if self.bare else core_schema.bool_schema()
        switch = core_schema.no_info_after_validator_function(lambda on: None if on is False else cls(), schema)
        choices = {SWITCH: switch, ONE: handler.generate_schema(Annotated[cls, FromKnobs()])}
        return core_schema.tagged_union_schema(choices, lambda value: SWITCH if self.is_switch(value) else ONE)

    def is_switch(self, value: object) -> bool:
        return isinstance(value, bool) or (self.bare and value is None)


class FromKnobs:
    """``C``, ``tuple[C, ...]`` or ``tuple[C, D]`` of knobs, written as a section: see the top of this file."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        arguments = typing.get_args(source)
        make: Callable[[Section], Any]
        if not arguments:
            model, make = section(source.__name__, source), functools.partial(config, source)
        elif arguments[-1] is Ellipsis:
            cls = arguments[0]
            model, make = section(f"{cls.__name__}Grid", cls, axes=True), functools.partial(grid, cls)
        else:
            model, make = section(arguments[0].__name__, *arguments), functools.partial(configs, arguments)
        return core_schema.no_info_after_validator_function(make, handler.generate_schema(model))


@per_tables
def section(name: str, *kinds: type[Knobs], axes: bool = False, base: type[Section] = Section) -> type[Section]:
    """A model that has every knob of ``kinds`` as an optional field."""
    declared: dict[str, Any] = {}
    for cls in kinds:
        hints = typing.get_type_hints(cls)
        for field in fields(cls):
            hint = hints[field.name]
            kind = written(hint, field.metadata["bounds"])
            if axes:
                kind = Annotated[kind, Axis(of_tuples=_is_tuple(hint))]
            declared[field.name] = (kind, Field(default=field.default, description=field.metadata["help"]))
    return create_model(name, __base__=base, **declared)


def written(hint: object, bounds: Bounds) -> Any:
    """The annotation that pydantic shall check for a knob of this type, with these bounds on it or on each element."""
    if isinstance(hint, type) and issubclass(hint, Knobs):
        return Annotated[hint, FromKnobs()]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(written(option, bounds) for option in arguments)]  # noqa: UP007, made at run time
    if origin is tuple:
        inner = tuple(item if item is Ellipsis else written(item, bounds) for item in arguments)
        return Annotated[tuple.__class_getitem__(inner), Field(strict=False)]  # YAML has lists only
    if hint is type(None):
        return hint
    if bounds.choices is not None:
        return Literal[tuple(bounds.choices)]
    if hint in (int, float):
        limits = Field(ge=bounds.low, gt=bounds.above, le=bounds.high, lt=bounds.below)
        return Annotated[
            hint, limits, AfterValidator(number), BeforeValidator(infinity if bounds.infinite else lambda value: value)
        ]
    return hint


def _is_tuple(hint: object) -> bool:
    return typing.get_origin(hint) is tuple or any(map(_is_tuple, typing.get_args(hint)))


def infinity(value: object) -> object:
    """``inf``, which YAML writes ``.inf``, as a number too."""
    return float(value) if value in ("inf", "+inf") else value


def number(value: float) -> float:
    """The number, which a canonical config can hold.

    Raises:
        InvalidValue: where it is .nan, or an integer beyond 64 bits.
    """
    if value != value:
        raise InvalidValue("must be a number, but got .nan")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise InvalidValue("must fit into 64 bits")
    return value


def config(cls: type[Knobs], found: Section) -> Knobs:
    """The config that a section without axes describes.

    Raises:
        InvalidValue: where its knobs do not go together.
    """
    return _make(cls, {field.name: getattr(found, field.name) for field in fields(cls) if field.name in found.model_fields_set})


def configs(kinds: tuple[type[Knobs], ...], found: Section) -> tuple[Knobs, ...]:
    return tuple(config(cls, found) for cls in kinds)


def grid(cls: type[Knobs], found: Section) -> tuple[Knobs, ...]:
    """Every config of the grid that a section with axes describes; the last knob varies fastest.

    Raises:
        InvalidValue: where the knobs of one of them do not go together, or they are too many.
    """
    axes = {field.name: getattr(found, field.name) for field in fields(cls) if field.name in found.model_fields_set}
    size = math.prod(map(len, axes.values()))
    if size > MAX_GRID:
        raise InvalidValue(f"its lists multiply out to {size:,} variants; at most {MAX_GRID:,} can be run")
    return tuple(_make(cls, dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values()))


def _make(cls: type[Knobs], values: dict[str, object]) -> Knobs:
    try:
        return cls(**values)
    except ValueError as error:
        named = re.findall(r"`(\w+)`", str(error))[:2]  # the knob, or the knobs of a base and which of them
        raise InvalidValue(str(error), at=tuple(named)) from None
