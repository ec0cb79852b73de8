"""What the evaluations said, gathered into cells. Pure functions of the table of evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from orchestrator.report.analysis.statistics import Difference, Sample, paired, sample
from orchestrator.report.analysis.summary import CONTROL

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Number:
    """A number of a cell over its seeds; ``difference`` compares it with plain training of the same setting, seed by seed."""

    values: Sample
    difference: Difference | None

    @property
    def apart(self) -> int:
        """1 or −1 where the difference's confidence interval lies above or below zero; else 0."""
        if self.difference is None or self.difference.interval is None:
            return 0
        low, high = self.difference.interval
        return (low > 0) - (high < 0)


@dataclass(frozen=True)
class Answers:
    """What one evaluation found of one cell, number by number; ``done`` of ``planned`` seeds have been asked."""

    evaluation: str
    setting: str
    method: str
    control: bool
    done: int
    planned: int
    numbers: dict[str, Number]


def answers(evaluations: pa.Table) -> dict[str, list[Answers]]:
    """For each evaluation its cells, setting by setting, in the order of the plan."""
    cells: dict[tuple[str, str, str], Rows] = {}
    controls: dict[tuple[str, str], Rows] = {}
    for row in evaluations.to_pylist():
        cells.setdefault((row["evaluation"], row["setting"], row["cell"]), []).append(row)
        if row["algorithm"] == CONTROL:
            controls.setdefault((row["evaluation"], row["setting"]), []).append(row)
    found: dict[str, list[Answers]] = {}
    for (evaluation, setting, _), rows in cells.items():
        found.setdefault(evaluation, []).append(_answers(rows, controls.get((evaluation, setting), [])))
    return found


def _answers(rows: Rows, control: Rows) -> Answers:
    first, plain = rows[0], _by_seed(control)
    is_control = first["algorithm"] == CONTROL
    numbers = {
        name: Number(summary, None if is_control else paired(values, plain.get(name, {})))
        for name, values in _by_seed(rows).items()
        if (summary := sample(list(values.values())))
    }
    return Answers(
        evaluation=first["evaluation"],
        setting=first["setting"],
        method=first["method"],
        control=is_control,
        done=len({row["seed"] for row in rows if row["status"] == "done"}),
        planned=len({row["seed"] for row in rows}),
        numbers=numbers,
    )


def _by_seed(rows: Rows) -> dict[str, dict[int, float]]:
    """Values by name and seed, of what is done."""
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["status"] == "done":
            found.setdefault(row["name"], {})[row["seed"]] = row["value"]
    return found
