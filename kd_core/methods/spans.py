"""Knobs that change in the course of a training: one value for each span, and the boundaries between the spans."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

INIT = 0.1111  # of the training, for methods that begin with another loss: the 30 of 270 epochs of Tian et al. 2020's code


def conflicts(name: str, values: Sequence[float], boundaries: Sequence[float]) -> list[str]:
    """What is wrong with the values of the knob ``name`` and with the knob ``boundaries``, which are shares of the training."""
    found = []
    if len(values) != len(boundaries) + 1:
        found.append(f"`{name}` must hold one more value than `boundaries` ({len(boundaries)}), but got {len(values)}")
    if list(boundaries) != sorted(set(boundaries)):
        found.append(f"`boundaries` must rise, but got {list(boundaries)}")
    return found


def value_at(values: Sequence[float], boundaries: Sequence[float], progress: float) -> float:
    """The value at ``progress`` = e / E, in [0, 1): a boundary belongs to the span that it begins."""
    return values[bisect.bisect_right(boundaries, progress)]
