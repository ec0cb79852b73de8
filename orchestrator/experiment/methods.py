"""How a student's method is written: ``kd``, or ``kd: {temperature: [2, 4], teachers: each, label: …, search: auto}``."""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from kd_core.knobs import Choice, Distribution, Knobs, Uniform
from kd_core.knowledge import Need
from kd_core.methods.table import METHODS
from kd_core.plugins.tables import per_tables
from orchestrator.experiment.derive import MAX_GRID, OneOrMany, Section, grid, section
from orchestrator.experiment.names import ALL, EACH, Context, Label, TeacherName
from orchestrator.experiment.problems import InvalidValue, shown, suggestion
from orchestrator.experiment.search import FromSearch, WrittenSearch
from orchestrator.experiment.search_config import GRID, SearchConfig
from orchestrator.experiment.space import own_space
from orchestrator.experiment.spec import SearchSpec

NO_SPLIT = "there is no validation split (`data.validation` is 0)"
HOLDOUT = "`probes: {data: train_holdout}` judges them on images that are held out of them alone"
SEARCH = "finds values for its knobs, or for the recipe's, on the validation split"
WHOM = "whom it learns from: all at once, each by itself (a student for each), or names"
SYNTAX = "a method is written `name`, or `name: {knobs}`"


@dataclass(frozen=True)
class Variant:
    """A method with one value for each knob, and the teachers that it listens to."""

    name: str
    config: Knobs
    teachers: tuple[str, ...]
    label: str | None  # that the user gave
    search: SearchSpec | None = None


def without_default(schema: dict[str, Any]) -> None:
    """The JSON Schema of a field that has a default which says nothing."""
    schema.pop("default", None)


class MethodSection(Section):
    """What a method entry holds besides the method's own knobs."""

    teachers: Annotated[tuple[TeacherName, ...], OneOrMany()] = Field(
        default=(),
        json_schema_extra=without_default,
        description=f"{WHOM}; default: those of the group of students",
    )
    label: Label | None = Field(default=None, description="its name in tables and figures; default: made from its knobs")


class Entry(Section):
    """A mapping with one method's name as its only key."""

    @model_validator(mode="before")
    @classmethod
    def written(cls, value: object) -> Any:
        """The mapping, also of a bare name.

        Raises:
            InvalidValue: where it is no mapping with one method's name.
        """
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, dict):
            raise InvalidValue(f"{SYNTAX}, but got {shown(value)}")
        if len(value) != 1:
            got = f"{', '.join(value)} side by side; indent a method's knobs below its name" if value else "an empty section"
            raise InvalidValue(f"{SYNTAX}, but got {got}")
        ((name, knobs),) = value.items()
        if name not in METHODS:
            raise InvalidValue(f"no method named {name!r}{suggestion(name, METHODS)} (see `kd list methods`)", at=(name,))
        return {name: {} if knobs is None else knobs}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        mapping |= {"minProperties": 1, "maxProperties": 1}
        bare = {"enum": list(METHODS), "description": "a method with the defaults of its knobs"}
        return {"anyOf": [bare, mapping]}


def variants(name: str, found: Any, info: ValidationInfo) -> tuple[Variant, ...]:
    """The grid of an entry: over its knobs, and over the teachers where it says ``each``; each variant is searched by itself.

    Raises:
        InvalidValue: where the teachers or probes that it needs are not there, or teachers are named that it does not need.
    """
    context = cast(Context, info.context)
    configs = grid(METHODS[name].Config, found)
    chosen: list[Variant] = []
    for config in configs:
        search = searched(name, config, found, context.search)
        if search and context.data and not context.data.validation:
            raise InvalidValue(f"{NO_SPLIT} on which a search could choose", at=("search",))
        needs = METHODS[name].needs(config)
        if Need.PROBES in needs and context.probes is False:
            without = context.data and not context.data.validation
            raise InvalidValue(
                f"{name} needs probes, but {f'{NO_SPLIT} to judge them on: {HOLDOUT}' if without else '`probes` is false'}"
            )
        if needs and context.teachers == ():
            raise InvalidValue(f"{name} needs teachers, but there are none")
        if not needs and "teachers" in found.model_fields_set:
            raise InvalidValue(f"{name} listens to no teachers", at=("teachers",))
        for teachers in listened(found.teachers or context.heard, context.teachers or ()) if needs else [()]:
            chosen.append(Variant(name, config, teachers, found.label, search))
        if len(chosen) > MAX_GRID:
            raise InvalidValue(f"its knobs and teachers multiply out to more than {MAX_GRID:,} variants")
    return tuple(chosen)


def searched(name: str, config: Knobs, found: Any, general: SearchConfig) -> SearchSpec | None:
    """The search of a variant, where it asks for one.

    Raises:
        InvalidValue: where it names nothing to search, what is an axis of the grid already, or what a grid search cannot
            enumerate.
    """
    written: WrittenSearch | None = found.search
    if written is None:
        return None
    try:
        how = written.how(general)
    except InvalidValue as error:
        raise InvalidValue(str(error), at=("search",)) from None
    space = own_space(config) if written.space is None else written.space
    if not space:
        raise InvalidValue(f"{name} declares no space of its own; name distributions below `space`", at=("search",))
    for knob in space:
        if knob in found.model_fields_set and len(getattr(found, knob)) > 1:
            raise InvalidValue(f"{knob} is searched: give it one value, its default, and not a list", at=(knob,))
    if how.searcher == GRID:
        if endless := [knob for knob, distribution in space.items() if isinstance(distribution, Uniform)]:
            message = f"`searcher` grid enumerates choice and int, but {endless[0]} is continuous"
            raise InvalidValue(message, at=("search", "space", *endless[0].split(".")))
        if (size := math.prod(map(count, space.values()))) > MAX_GRID:
            raise InvalidValue(f"its grid has {size:,} points; at most {MAX_GRID:,} can be tried", at=("search", "space"))
    return SearchSpec(tuple(space.items()), how)


def count(distribution: Distribution) -> int:
    """The points of a choice or an interval of integers."""
    return len(distribution.values) if isinstance(distribution, Choice) else int(distribution.high - distribution.low + 1)


def listened(words: tuple[str, ...], known: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The groups of teachers that ``teachers:`` asks for, each in the order of ``known``.

    Raises:
        InvalidValue: where `all` or `each` stands beside other names.
    """
    if words == (ALL,):
        return [known]
    if words == (EACH,):
        return [(name,) for name in known]
    if ALL in words or EACH in words:
        raise InvalidValue("`all` and `each` stand alone", at=("teachers",))
    return [tuple(name for name in known if name in words)]


@per_tables
def entry_model() -> type[Entry]:
    """The model of an entry: an optional field for every method."""
    declared: dict[str, Any] = {}
    for name, method in METHODS.items():
        description = (sys.modules[method.__module__].__doc__ or name).strip().partition("\n")[0]
        config: Any = method.Config
        search: Any = (Annotated[WrittenSearch, FromSearch(name, config)] | None, Field(default=None, description=SEARCH))
        base = create_model(f"{name}Entry", __base__=MethodSection, search=search)
        knobs: Any = section(name, config, axes=True, base=base)
        expanded = AfterValidator(functools.partial(variants, name))
        field = Field(default=None, description=description, json_schema_extra=without_default)
        declared[name] = (Annotated[knobs, expanded] | None, field)
    return create_model("Method", __base__=Entry, **declared)


class FromEntry:
    """``tuple[Variant, ...]``, written as a method entry."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        entry = handler.generate_schema(entry_model())
        return core_schema.no_info_after_validator_function(self.only, entry)

    @staticmethod
    def only(found: Entry) -> tuple[Variant, ...]:
        (name,) = found.model_fields_set
        variants: tuple[Variant, ...] = getattr(found, name)
        return variants
