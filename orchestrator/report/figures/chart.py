"""A figure of a report, and what figures have in common: colours of methods, curves of trainings."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from orchestrator.report.analysis.summary import CONTROL
from orchestrator.report.figures.canvas import COLORS, INK, Picture

Rows = Sequence[dict[str, Any]]
Curves = Mapping[tuple[str, str], np.ndarray]  # by (key, name), over the epochs


@dataclass(frozen=True)
class Chart:
    """``caption`` says in words what is to be seen; ``under`` is the title of its table; none: the first."""

    title: str
    caption: str
    picture: Picture
    under: str = ""

    @cached_property
    def svg(self) -> Markup:
        return Markup(self.picture.svg())

    @property
    def name(self) -> str:
        """Of a file that holds it."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def colors_of(rows: Rows) -> dict[str, str]:
    """A colour for every method, the same in all pictures; plain training has that of the text."""
    palette = itertools.cycle(COLORS)
    control = {row["method"]: row["algorithm"] == CONTROL for row in rows}
    return {method: INK if plain else next(palette) for method, plain in control.items()}


def curves_of(table: pa.Table) -> Curves:
    """By (key, name) the values in the order of the epochs."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in table.sort_by("epoch").to_pylist():
        found.setdefault((row["key"], row["name"]), []).append(row["value"])
    return {which: np.array(values) for which, values in found.items()}
