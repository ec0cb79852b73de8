"""Canonical JSON: one text for one meaning, so that its SHA-256 can name it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import typing
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar, cast

from kd_core.knobs import converted, stated

Made = TypeVar("Made")
ATOMS = frozenset({str, int, bool, type(None)})


def plain(value: object) -> Any:
    """Dataclasses, tuples and numbers as plain JSON values.

    A whole float becomes an int, so that 1 and 1.0 mean the same; an infinite one becomes the text "inf" or "-inf". A knob
    that came later is left out where it has its default.

    Raises:
        TypeError: for what has no JSON form, NaN among it.
    """
    kind = type(value)  # most values are of these, and a plan of thousands of jobs has millions of values
    if kind in ATOMS:
        return value
    if kind is dict:
        return {name if type(name) is str else str(name): plain(item) for name, item in value.items()}  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(found) for name, found in stated(value).items()}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and not math.isnan(value):
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return int(value) if value.is_integer() else value
    raise TypeError(f"no canonical form for {value!r}")


def text(value: object) -> str:
    """The canonical JSON text of a value."""
    return _dumped(plain(value))


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return digest_of_plain(plain(value))


def digest_of_plain(value: object) -> str:
    """:func:`digest` of what is in its plain form already."""
    return hashlib.sha256(_dumped(value).encode()).hexdigest()


def short(value: object) -> str:
    """A knob's value for the eye: numbers in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else text(value).strip('"')


def loads(content: bytes) -> Any:
    """JSON in its plain form: ``plain(json.loads(content))``, several times as fast.

    Raises:
        ValueError: where it is no JSON, or holds NaN.
    """
    return json.loads(content, parse_float=_number, parse_constant=_infinite)


def from_plain(cls: type[Made], values: Mapping[str, object]) -> Made:
    """The dataclass whose :func:`plain` form is ``values``.

    Raises:
        ValueError: where a value is of another kind, or from the dataclass's own checks.
        TypeError: for a field that it does not have.
    """
    hints = _hints(cast(Hashable, cls))
    return cls(**{name: converted(value, hints.get(name, Any)) for name, value in values.items()})


def _dumped(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _number(written: str) -> Any:
    return plain(float(written))


def _infinite(written: str) -> str:
    if written == "NaN":
        raise ValueError("NaN has no canonical form")
    return "inf" if written == "Infinity" else "-inf"


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cast(type, cls))
