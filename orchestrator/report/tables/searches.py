"""The table of the searches as text, and what they come to in a sentence."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from orchestrator.jobs import canonical
from orchestrator.report.analysis.formatting import NOTHING, SEARCHES, hours, percent, percent_interval, points
from orchestrator.report.tables.table import Column, Row, Table, Value


def of_searches(searches: pa.Table) -> Table:
    """A row for each student and method whose knobs are searched (:data:`orchestrator.report.data.searches.SEARCHES`)."""
    notes: dict[str, int] = {}
    groups: dict[str, list[Row]] = {}
    for row in searches.to_pylist():
        missing = row["status"] != "done"
        cited = f" [{notes.setdefault(_absence(row), len(notes) + 1)}]" if missing else ""
        cells = (
            Value(row["setting"]),
            Value(row["method"] + cited, tone="bad" if missing else ""),
            Value(values(row)),
            Value(_trials(row), tone="bad" if row["failed"] else ""),
            Value(_cost(row)),
            Value(percent(row["validation_accuracy"])),
            Value(percent(row["validation_accuracy_default"])),
            Value(f"{row['seeds']}/{row['seeds_planned']}", tone="bad" if row["seeds"] < row["seeds_planned"] else ""),
            _gain(row),
        )
        groups.setdefault(row["setting"], []).append(cells)
    return Table(
        SEARCHES,
        (
            Column("student", left=True),
            Column("method", left=True),
            Column("chosen (default)", left=True, rank=1, long=True),
            Column("trials"),
            Column("cost", rank=3),
            Column("validation", rank=2),
            Column("of defaults", rank=2),
            Column("seeds", rank=3),
            Column("vs defaults [95 % CI]"),
        ),
        tuple(map(tuple, groups.values())),
        caption=(
            "What was chosen on the validation split, and what it gains over the defaults on the test split.",
            "Trials are counted as done / stopped early / failed; the cost is what all of them trained for, as time and as a "
            "multiple of the training of one student with the chosen values.",
            "Validation is the accuracy in % of the best trial, which flatters it, since it is the best of many, and of the "
            "trial of the defaults where that was not stopped.",
            "The gain is in points, between students of the same seeds that were trained with the chosen values and with the "
            "defaults, with the 95 % confidence interval of Student's t, not corrected for the number of searches.",
        ),
        strong="an interval that leaves out zero",
        notes=tuple(notes),
    )


def sentences(searches: pa.Table) -> list[str]:
    """Whether searching helped; nothing where nothing was searched."""
    rows = searches.to_pylist()
    if not rows:
        return []
    found = [_apart(row) for row in rows]
    counts = [
        (found.count(1), "found values that beat the defaults on the test split (95 % confidence interval above zero)"),
        (found.count(-1), "found values that fall behind the defaults"),
        (found.count(0), "cannot be told apart from the defaults at this number of seeds"),
        (found.count(None), "cannot be tested yet"),
    ]
    what = "1 search" if len(rows) == 1 else f"{len(rows)} searches"
    return [f"Of {what}: {'; '.join(f'{number} {words}' for number, words in counts if number)}."]


def values(row: dict[str, Any]) -> str:
    """alpha 1.234 (0.9), top 2 (1): the chosen values and the defaults."""
    if row["chosen"] is None:
        return NOTHING
    chosen, defaults = json.loads(row["chosen"]), json.loads(row["defaults"])
    return ", ".join(f"{name} {canonical.short(value)} ({canonical.short(defaults[name])})" for name, value in chosen.items())


def _absence(row: dict[str, Any]) -> str:
    return f"{row['status']}: {row['reason']}"


def _trials(row: dict[str, Any]) -> str:
    """done / stopped / failed, of how many where some are still to come."""
    ended = row["done"] + row["stopped"] + row["failed"]
    text = f"{row['done']}/{row['stopped']}/{row['failed']}"
    return text if ended == row["planned"] else f"{text} of {row['planned']}"


def _cost(row: dict[str, Any]) -> str:
    if not row["seconds"]:
        return NOTHING
    return hours(row["seconds"]) + (f" ({row['seconds'] / row['student_seconds']:.1f}×)" if row["student_seconds"] else "")


def _gain(row: dict[str, Any]) -> Value:
    if row["gain"] is None:
        return Value(NOTHING)
    text = points(row["gain"])
    if row["gain_low"] is not None:
        text += f" {percent_interval((row['gain_low'], row['gain_high']))}"
    return Value(text, strong=bool(_apart(row)), tone={1: "better", -1: "worse"}.get(_apart(row) or 0, ""))


def _apart(row: dict[str, Any]) -> int | None:
    """1 or −1 where the interval lies above or below zero, 0 where it holds zero; None where there is none."""
    if row["gain_low"] is None:
        return None
    return int(row["gain_low"] > 0) - int(row["gain_high"] < 0)
