"""Seeds gathered into cells, and what can honestly be said of them. Pure functions of the table of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from orchestrator.report.analysis.formatting import percent_interval, points, probability
from orchestrator.report.analysis.statistics import Difference, Sample, holm, paired, sample

CONTROL = "none"  # the method that the others are compared with: training without teachers
LEVEL = 0.05


@dataclass(frozen=True)
class Absent:
    """A seed that is left out of the means, and why."""

    seed: int
    status: str
    reason: str


@dataclass(frozen=True)
class Cell:
    """One student and method over its seeds. Accuracies are in [0, 1], and means are over the seeds that are done.

    ``difference`` compares the test accuracy with plain training of the same setting; ``p`` is its p-value after Holm's
    correction over the comparisons of that setting.
    """

    name: str
    student: str
    setting: str
    method: str
    control: bool
    validated: bool  # a validation split chooses the epoch; otherwise it is the last
    teachers: tuple[str, ...]
    planned: int
    absent: tuple[Absent, ...]
    validation: Sample | None
    test: Sample | None
    test_last: Sample | None
    test_best: Sample | None  # chosen on the test split itself; None where it was not asked for
    seconds: Sample | None
    loss: Sample | None
    brier: Sample | None
    top5: Sample | None
    agreement: Sample | None
    peak_memory: int | None  # of the seed that took the most, bytes
    device_seconds: float | None  # of all seeds together
    difference: Difference | None = None
    p: float | None = None

    @property
    def done(self) -> int:
        return self.planned - len(self.absent)

    @property
    def verdict(self) -> str:
        """better or worse where the difference's confidence interval leaves out zero; else even, or untested."""
        if self.difference is None or self.difference.interval is None:
            return "untested"
        low, high = self.difference.interval
        return "better" if low > 0 else "worse" if high < 0 else "even"


def summarise(results: pa.Table) -> list[Cell]:
    """A cell for every (student, method), setting by setting, in the order of the plan."""
    rows = results.to_pylist()
    by_setting: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        by_setting.setdefault(row["setting"], {}).setdefault(row["cell"], []).append(row)
    return [cell for cells in by_setting.values() for cell in _compared(list(cells.values()))]


def findings(cells: Sequence[Cell], *, numbers: bool = True) -> list[str]:
    """Sentences that say whether distillation helped: one of the whole, then one of each setting, with numbers or without."""
    compared = [cell for cell in cells if cell.difference]
    settings = dict.fromkeys(cell.setting for cell in cells)
    lines = [f"{setting}: {_finding([cell for cell in cells if cell.setting == setting], numbers)}" for setting in settings]
    if not compared:
        return ["Whether distillation helped cannot be said yet.", *lines]
    counts = {verdict: sum(cell.verdict == verdict for cell in compared) for verdict in ("better", "worse", "even", "untested")}
    against = f"of {len(compared)} comparisons with plain training"
    if not counts["better"]:
        lead = f"Distillation did not measurably help: in none {against} does the 95 % confidence interval lie above zero"
    else:
        survive = sum(cell.verdict == "better" and cell.p is not None and cell.p < LEVEL for cell in compared)
        lead = f"Distillation helped in {counts['better']} {against} (95 % confidence interval above zero)"
        lead += f", {survive or 'none'} of them also after Holm's correction" if len(compared) > 1 else ""
    others = [
        (counts["worse"], "hurt"),
        (counts["even"], "cannot be told apart at this number of seeds"),
        (counts["untested"], "cannot be tested"),
    ]
    rest = "; ".join(f"{count} {words}" for count, words in others if count)
    return [f"{lead}; {rest}." if rest else f"{lead}.", *lines]


def _compared(groups: Sequence[list[dict[str, object]]]) -> list[Cell]:
    """The cells of one setting, each compared with the setting's plain training."""
    control: dict[int, float] = {}
    for rows in groups:
        if rows[0]["algorithm"] == CONTROL:
            control |= _by_seed(rows)
    differences = [None if rows[0]["algorithm"] == CONTROL else paired(_by_seed(rows), control) for rows in groups]
    adjusted = holm([difference.p if difference else None for difference in differences])
    cells = zip(map(_cell, groups), differences, adjusted, strict=True)
    return [replace(cell, difference=difference, p=p) for cell, difference, p in cells]


def _cell(rows: list[dict[str, Any]]) -> Cell:
    first, done = rows[0], [row for row in rows if row["status"] == "done"]

    def over(name: str) -> Sample | None:
        return sample([row[name] for row in done if row[name] is not None])

    return Cell(
        name=first["cell"],
        student=first["student"],
        setting=first["setting"],
        method=first["method"],
        control=first["algorithm"] == CONTROL,
        validated=first["validated"],
        teachers=tuple(first["teachers"]),
        planned=len(rows),
        absent=tuple(Absent(row["seed"], row["status"], row["reason"]) for row in rows if row["status"] != "done"),
        validation=over("validation_accuracy"),
        test=over("test_accuracy"),
        test_last=over("test_accuracy_last"),
        test_best=over("test_accuracy_best"),
        seconds=over("seconds"),
        loss=over("test_loss"),
        brier=over("test_brier"),
        top5=over("test_top5"),
        agreement=over("agreement"),
        peak_memory=max((row["peak_memory"] for row in done if row["peak_memory"]), default=None),
        device_seconds=sum(row["device_seconds"] or 0 for row in done) or None,
    )


def _by_seed(rows: Iterable[dict[str, Any]]) -> dict[int, float]:
    return {row["seed"]: row["test_accuracy"] for row in rows if row["status"] == "done"}


def _finding(cells: Sequence[Cell], numbers: bool) -> str:
    """What a setting's comparisons say."""
    methods = [cell for cell in cells if not cell.control]
    if len(methods) == len(cells):
        return f"there is no plain training (method {CONTROL}) to compare with."
    if not methods:
        return "there is no distillation to compare with plain training."
    groups = {
        ("beats", "beat"): [cell for cell in methods if cell.verdict == "better"],
        ("falls behind", "fall behind"): [cell for cell in methods if cell.verdict == "worse"],
        ("cannot be told apart from",) * 2: [cell for cell in methods if cell.verdict == "even"],
        ("cannot be tested against",) * 2: [cell for cell in methods if cell.verdict == "untested" and cell.difference],
        ("shares no finished seed with", "share no finished seed with"): [cell for cell in methods if not cell.difference],
    }
    parts = [
        f"{', '.join(_described(cell, numbers) for cell in found)} {several if len(found) > 1 else one} plain training"
        for (one, several), found in groups.items()
        if found
    ]
    return "; ".join(parts) + "."


def _described(cell: Cell, numbers: bool) -> str:
    """The method and, with numbers, its mean difference in points, the interval, Holm's p and the number of pairs."""
    if not numbers or cell.difference is None:
        return cell.method
    parts = [f"{points(cell.difference.mean)} points"]
    if cell.difference.interval:
        parts += [f"95 % CI {percent_interval(cell.difference.interval)}", f"Holm p = {probability(cell.p)}"]
    return f"{cell.method} ({', '.join([*parts, f'n = {cell.difference.n}'])})"
