"""Knobs: the hyperparameters of a method, a recipe or a stage, declared once with bounds, help and search distribution.

A set of knobs is a frozen dataclass that derives from :class:`Knobs`. Bounds are data, so that the same declaration
checks a config made in Python, validates YAML, writes the JSON Schema and proposes the search space.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Collection, Mapping
from typing import Any, Self, TypeVar

LARGEST_FLOAT = 3.4028234663852886e38  # of single precision
LARGEST_INT = 2**63 - 1

Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True)
class Uniform:
    """Uniform on [low, high]."""

    low: float
    high: float

    def holds(self, value: object) -> bool:
        return isinstance(value, (int, float)) and self.low <= value <= self.high


@dataclasses.dataclass(frozen=True)
class LogUniform(Uniform):
    """Uniform in the logarithm on [low, high], low > 0."""


@dataclasses.dataclass(frozen=True)
class IntUniform:
    """Integers from low to high, both included."""

    low: int
    high: int

    def holds(self, value: object) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of the given values."""

    values: tuple[Any, ...]

    def holds(self, value: object) -> bool:
        return value in self.values


Distribution = Uniform | IntUniform | Choice


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What a knob (or each element of a tuple knob) may be. ``None`` leaves that side open."""

    low: float | None = None  # value >= low
    above: float | None = None  # value > above
    high: float | None = None  # value <= high
    below: float | None = None  # value < below
    choices: Collection[Any] | None = None  # a tuple, or a table whose names they are, which may grow
    infinite: bool = False  # whether infinity means something

    def refusal(self, value: Any) -> str:
        """What the value must be and is not; empty where it is allowed."""
        if not self.allow(value):
            return f"must be {self}, but got {value!r}"
        if isinstance(value, float) and math.isinf(value) and not self.infinite:
            return f"must be finite, but got {value!r}"
        largest = LARGEST_FLOAT if isinstance(value, float) else LARGEST_INT
        if isinstance(value, int | float) and math.isfinite(value) and abs(value) > largest:
            return f"must be at most {largest:g}, with which networks can compute, but got {value!r}"
        return ""

    def allow(self, value: Any) -> bool:
        """Whether the value is within the bounds."""
        if self.choices is not None:
            return value in self.choices
        if isinstance(value, float) and math.isnan(value):
            return False
        return (
            (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.choices is not None:
            return "one of " + ", ".join(map(str, self.choices))
        signs = ((">=", self.low), (">", self.above), ("<=", self.high), ("<", self.below))
        return " and ".join(f"{sign} {limit:g}" for sign, limit in signs if limit is not None)


def knob(
    default: object,
    help: str,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    choices: Collection[object] | None = None,
    search: Distribution | None = None,
    infinite: bool = False,
    later: bool = False,
) -> Any:
    """Declare a dataclass field with bounds (of each element, for a tuple), one line of help and a search distribution.

    ``later``: the knob came when there were results already, and its default is what was done before. At its default it is
    left out of what names a result (:func:`stated`), so that those are still found.
    """
    bounds = Bounds(low, above, high, below, choices, infinite)
    return dataclasses.field(default=default, metadata={"bounds": bounds, "help": help, "search": search, "later": later})


def stated(config: object) -> dict[str, Any]:
    """The fields of a dataclass by name, without those that came later and have their default."""
    found = ((field, getattr(config, field.name)) for field in dataclasses.fields(config))  # type: ignore[arg-type]
    return {field.name: value for field, value in found if not field.metadata.get("later") or value != field.default}


def converted(value: object, to: type[Made]) -> Made:
    """A plain value as an annotation wants it: an int for a float, a list for a tuple, "inf", a mapping for a dataclass.

    Raises:
        ValueError: where it is of another kind, or a dataclass refuses it.
    """
    import msgspec  # where a value is converted, so that declarations stay instant to import

    try:
        return msgspec.convert(value, to)
    except msgspec.ValidationError:
        return msgspec.convert(_infinities(value), to)


def _infinities(value: object) -> Any:
    """JSON has no infinity: it is written as text."""
    if isinstance(value, list | tuple):
        return [_infinities(item) for item in value]
    return float(value) if value in ("inf", "-inf") else value


@dataclasses.dataclass(frozen=True)
class Knobs:
    """Base of every config. Bounds are checked when it is made; :meth:`conflicts` adds what ties several knobs together.

    Raises:
        ValueError: naming every knob that is out of bounds, its value and what is allowed.
    """

    def __post_init__(self) -> None:
        problems = []
        for field in dataclasses.fields(self):
            bounds: Bounds | None = field.metadata.get("bounds")
            value = getattr(self, field.name)
            if bounds is None or value is None:
                continue
            for element in value if isinstance(value, tuple) else (value,):
                if refusal := bounds.refusal(element):
                    shown = refusal.replace(f"but got {element!r}", f"but got {value!r}")
                    problems.append(f"`{field.name}` {shown}")
                    break
        problems = problems or self.conflicts()
        if problems:
            raise ValueError("; ".join(problems))

    def conflicts(self) -> list[str]:
        """Sentences about knobs that are each allowed but do not go together; empty where all is well."""
        return []

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """A config from plain values, as YAML or JSON has them: a whole number for a float, a list for a tuple, "inf".

        Raises:
            ValueError: naming every knob that there is not, or whose value is of another kind or out of bounds.
        """
        return cls(**cls._fitted(values))

    def but(self, values: Mapping[str, object]) -> Self:
        """This config with other plain values for some knobs.

        Raises:
            ValueError: as :meth:`parse` does.
        """
        return dataclasses.replace(self, **self._fitted(values))

    @classmethod
    def _fitted(cls, values: Mapping[str, object]) -> dict[str, Any]:
        hints = typing.get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls)]
        fitted, problems = {}, []
        for name, value in values.items():
            if name not in names:
                near = difflib.get_close_matches(str(name), names, 1)
                problems.append(f"no knob named `{name}`" + (f", did you mean `{near[0]}`?" if near else ""))
                continue
            try:
                fitted[name] = converted(value, hints[name])
            except ValueError:
                kind = str(hints[name]) if typing.get_args(hints[name]) else hints[name].__name__
                problems.append(f"`{name}` must be of type {kind}, but got {value!r}")
        if problems:
            raise ValueError("; ".join(problems))
        return fitted

    @classmethod
    def space(cls) -> dict[str, Distribution]:
        """The search space: knob name to distribution, of those knobs that are worth searching."""
        found = {field.name: field.metadata.get("search") for field in dataclasses.fields(cls)}
        return {name: distribution for name, distribution in found.items() if distribution is not None}
