"""How a method's search is written: ``search: auto``, or ``search: {space: {alpha: {uniform: [0, 2]}}, trials: 30}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from kd_core.knobs import Distribution, Knobs
from kd_core.methods.wrapper import Wrapping
from kd_core.recipe import Recipe
from orchestrator.experiment import space
from orchestrator.experiment.derive import Section, number, section
from orchestrator.experiment.problems import InvalidValue, shown
from orchestrator.experiment.search_config import SearchConfig

AUTO = "auto"
BUDGET = "epochs"  # of the recipe: what a trial may spend is not searched
Limit = Annotated[float, AfterValidator(number)]
Whole = int  # which a field below is called


class WrittenDistribution(Section):
    """One of the kinds of distribution."""

    uniform: Annotated[tuple[Limit, Limit], Field(strict=False)] | None = Field(default=None, description="[low, high]")
    loguniform: Annotated[tuple[Limit, Limit], Field(strict=False)] | None = Field(
        default=None, description="[low, high], uniform in the logarithm"
    )
    int: Annotated[tuple[Whole, Whole], Field(strict=False)] | None = Field(
        default=None, description="[low, high], both included"
    )
    choice: list[Any] | None = Field(default=None, description="a list of values")

    @model_validator(mode="after")
    def one(self) -> WrittenDistribution:
        """The distribution, of one kind and with values in order.

        Raises:
            InvalidValue: where it is not.
        """
        if len(self.model_fields_set) != 1:
            raise InvalidValue(f"must be one of {', '.join(f'{kind}: […]' for kind in space.KINDS)}")
        [kind] = self.model_fields_set
        values = getattr(self, kind)
        if values is None:
            raise InvalidValue(f"must be {'a list of values' if kind == 'choice' else '[low, high]'}, but got null", at=(kind,))
        if kind == "choice":
            if not values:
                raise InvalidValue("must not be empty", at=(kind,))
        elif not values[0] < values[1]:
            raise InvalidValue(f"`low < high` must hold, but got {shown(list(values))}", at=(kind,))
        elif kind == "loguniform" and values[0] <= 0:
            raise InvalidValue(f"`low > 0` must hold, but got {shown(list(values))}", at=(kind,))
        return self

    @property
    def distribution(self) -> Distribution:
        [kind] = self.model_fields_set
        return space.read({kind: getattr(self, kind)})

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler.resolve_ref_schema(handler(core)) | {"minProperties": 1, "maxProperties": 1}


class SearchSection(Section):
    """What a search holds besides how it is done."""

    @model_validator(mode="before")
    @classmethod
    def written(cls, value: Any) -> Any:
        """The section, also of `auto`.

        Raises:
            InvalidValue: where it is neither.
        """
        if value == AUTO:
            return {}
        if isinstance(value, dict):
            return {name: inner for name, inner in value.items() if (name, inner) != ("space", AUTO)}
        raise InvalidValue(f"must be {AUTO} or a section, but got {shown(value)}")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        properties = {**mapping["properties"]}
        properties["space"] = {"anyOf": [{"const": AUTO}, properties["space"]]}
        return {"anyOf": [{"const": AUTO}, {**mapping, "properties": properties}]}


@dataclass(frozen=True)
class WrittenSearch:
    """A search as it was asked for: of what, where that is said, and what is done otherwise than in general."""

    space: dict[str, Distribution] | None  # None: the method's own
    differs: Mapping[str, Any]

    def how(self, general: SearchConfig) -> SearchConfig:
        """How it is done.

        Raises:
            InvalidValue: where its own knobs do not go with the general ones.
        """
        try:
            return replace(general, **self.differs)
        except ValueError as error:
            raise InvalidValue(str(error)) from None


def _space_section(name: str, cls: type[Knobs], **more: Any) -> type[Section]:
    declared: dict[str, Any] = {
        field.name: (WrittenDistribution | None, Field(default=None, description=field.metadata["help"]))
        for field in fields(cls)
        if (cls, field.name) != (Recipe, BUDGET) and not (issubclass(cls, Wrapping) and field.name in ("base", "knobs"))
    }
    return create_model(name, __base__=Section, **declared, **more)


def search_model(method: str, cls: type[Knobs]) -> type[Section]:
    """The model of the search of a method with such a config."""
    recipe: Any = _space_section("RecipeSpace", Recipe)
    more: dict[str, Any] = {"recipe": (recipe | None, Field(default=None, description="of the recipe's knobs"))}
    if issubclass(cls, Wrapping):
        more["knobs"] = (dict[str, WrittenDistribution] | None, Field(default=None, description="of the base's knobs"))
    own: Any = _space_section(f"{method}Space", cls, **more)
    base = create_model(
        f"{method}SearchSpace",
        __base__=SearchSection,
        space=(own | None, Field(default=None, description="distributions of its knobs; auto: those that it declares")),
    )
    return section(f"{method}Search", SearchConfig, base=base)


class FromSearch:
    """``WrittenSearch``, written as ``auto`` or a section, of a method's config."""

    def __init__(self, method: str, cls: type[Knobs]) -> None:
        self.model = search_model(method, cls)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.search, handler.generate_schema(self.model))

    @staticmethod
    def search(found: Any) -> WrittenSearch:
        """What the section says.

        Raises:
            InvalidValue: where its `space` names no knob.
        """
        own = {name: getattr(found, name) for name in found.model_fields_set if name != "space"}
        if found.space is None:
            return WrittenSearch(None, own)
        if not (named := dict(_flat(found.space))):
            raise InvalidValue("names no knob", at=("space",))
        return WrittenSearch(named, own)


def _flat(found: Section | Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Distribution]]:
    values = found if isinstance(found, Mapping) else {name: getattr(found, name) for name in type(found).model_fields}
    for name, value in values.items():
        if isinstance(value, WrittenDistribution):
            yield prefix + name, value.distribution
        elif value is not None:
            yield from _flat(value, f"{prefix}{name}.")
