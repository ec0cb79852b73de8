"""Two experiments side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from orchestrator.report.analysis.formatting import NOTHING, percent_interval, points, spread
from orchestrator.report.analysis.statistics import paired, sample
from orchestrator.report.tables.table import Column, Row, Table, Value

Accuracies = dict[tuple[str, str], dict[int, float]]  # by (setting, method) and seed


def of_compared(name: str, students: pa.Table, other_name: str, others: pa.Table) -> Table:
    """A row per student and method of either, and their difference, seed by seed, where both have some seed done."""
    ours, theirs = _accuracies(students), _accuracies(others)
    groups: dict[str, list[Row]] = {}
    for setting, method in dict.fromkeys((*ours, *theirs)):
        here, there = ours.get((setting, method), {}), theirs.get((setting, method), {})
        difference = paired(here, there)
        text, low, high = NOTHING, 0.0, 0.0
        if difference:
            text = points(difference.mean)
            if difference.interval:
                low, high = difference.interval
                text += f" {percent_interval(difference.interval)}"
        tone = "better" if low > 0 else "worse" if high < 0 else ""
        row = (Value(setting), Value(method), *_mean(here), *_mean(there), Value(text, strong=bool(tone), tone=tone))
        groups.setdefault(setting, []).append(row)
    one, two = (name, other_name) if name != other_name else (name, f"{other_name} (other)")
    return Table(
        f"Compared with {two}",
        (
            Column("student", left=True),
            Column("method", left=True),
            Column(one),
            Column("seeds"),
            Column(two),
            Column("seeds"),
            Column("difference [95 % CI]"),
        ),
        tuple(map(tuple, groups.values())),
        caption=(
            "Test accuracy in %, mean ± standard deviation over the seeds that are done.",
            f"The difference is {one} minus {two} in points, over the seeds that both have, with the 95 % confidence interval "
            "of Student's t, not corrected for their number.",
        ),
        strong="an interval that leaves out zero",
    )


def _accuracies(students: pa.Table) -> Accuracies:
    found: Accuracies = {}
    for row in students.to_pylist():
        those = found.setdefault((row["setting"], row["method"]), {})
        if row["status"] == "done":
            those[row["seed"]] = row["test_accuracy"]
    return found


def _mean(values: dict[int, float]) -> Sequence[Value]:
    return Value(spread(sample(list(values.values())))), Value(str(len(values)))
