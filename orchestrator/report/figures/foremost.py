"""What is drawn of an experiment that has more students than a picture can show: the most accurate. Tables hold all."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from orchestrator.report.analysis.summary import CONTROL
from orchestrator.report.figures.chart import Rows

PANELS = 12  # of a figure; each takes a tenth of a second, and nobody reads more
LINES = 24  # of a panel

Name = TypeVar("Name")


@dataclass(frozen=True)
class Foremost:
    """Args: ``every``: rows of :data:`orchestrator.report.data.results.RESULTS`."""

    every: Rows

    @cached_property
    def means(self) -> dict[str, float]:
        """Mean test accuracy of each cell; of what is not done yet there is none."""
        found: dict[str, list[float]] = {}
        for row in self.every:
            if row["status"] == "done":
                found.setdefault(row["cell"], []).append(row["test_accuracy"])
        return {cell: statistics.fmean(values) for cell, values in found.items()}

    @cached_property
    def rows(self) -> Rows:
        """Of the settings (network, recipe, data) so many as a figure has panels, and of each of them so many methods as a
        panel has lines, beside plain training."""
        cells = {row["cell"]: row for row in self.every}
        of_setting: dict[str, dict[str, float]] = {}
        for cell, row in cells.items():
            of_setting.setdefault(row["setting"], {})[cell] = self.means.get(cell, -1.0)
        kept: set[str] = set()
        for setting in best({setting: max(found.values()) for setting, found in of_setting.items()}, PANELS):
            kept |= {cell for cell in of_setting[setting] if cells[cell]["algorithm"] == CONTROL}
            kept |= best(of_setting[setting], LINES)
        return [row for row in self.every if row["cell"] in kept]

    @cached_property
    def note(self) -> str:
        """A sentence of what is left out, for a caption."""
        every, kept = (len({row["cell"] for row in rows}) for rows in (self.every, self.rows))
        return "" if kept == every else f" Drawn are the {kept} most accurate of {every} students and methods."

    def best(self, cells: Iterable[str]) -> set[str]:
        """Of these cells so many as a figure has panels."""
        return best({cell: self.means.get(cell, -1.0) for cell in cells}, PANELS)


def best(worth: Mapping[Name, float], most: int) -> set[Name]:
    """The names of the highest values; of equal ones those that come first."""
    return set(sorted(worth, key=lambda name: -worth[name])[:most])
