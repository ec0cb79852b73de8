"""Canonical JSON: one text for one meaning, so that its SHA-256 can name it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from kd_core.knobs import converted, stated

Made = TypeVar("Made")


def plain(value: object) -> Any:
    """Dataclasses, tuples and numbers as plain JSON values.

    A whole float becomes an int, so that 1 and 1.0 mean the same; an infinite one becomes the text "inf" or "-inf". A knob
    that came later is left out where it has its default.

    Raises:
        TypeError: for what has no JSON form, NaN among it.
    """
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
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return hashlib.sha256(text(value).encode()).hexdigest()


def from_plain(cls: type[Made], values: Mapping[str, object]) -> Made:
    """The dataclass whose :func:`plain` form is ``values``.

    Raises:
        ValueError: where a value is of another kind, or from the dataclass's own checks.
        TypeError: for a field that it does not have.
    """
    hints = typing.get_type_hints(cls)
    return cls(**{name: converted(value, hints.get(name, Any)) for name, value in values.items()})
