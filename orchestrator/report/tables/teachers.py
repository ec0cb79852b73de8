"""The teachers."""

from __future__ import annotations

import pyarrow as pa

from orchestrator.report.analysis.formatting import NOTHING, count, duration, percent
from orchestrator.report.tables.splits import AT_CHOSEN, AT_LAST
from orchestrator.report.tables.table import Column, Table, Value

GIVEN = "given"  # what a teacher that was not trained has for a chosen epoch


def of_teachers(table: pa.Table) -> Table:
    """A row per teacher."""
    notes: dict[str, int] = {}
    validated = any(table["validated"].to_pylist())
    rows = []
    for row in table.to_pylist():
        cited = ""
        if row["status"] != "done":
            note = f"{row['status']}: {row['reason']}"
            cited = f" [{notes.setdefault(note, len(notes) + 1)}]"
        rows.append(
            (
                Value(row["teacher"] + cited, tone="bad" if cited else ""),
                Value(row["model"]),
                Value(count(row["parameters"])),
                *([Value(percent(row["validation_accuracy"]))] if validated else []),
                Value(percent(row["test_accuracy"])),
                *([Value(percent(row["test_accuracy_last"]))] if validated else []),
                Value(_chosen(row)),
                Value(duration(row["seconds"])),
            )
        )
    return Table(
        "Teachers",
        (
            Column("teacher", left=True),
            Column("model", left=True),
            Column("parameters"),
            *([Column("validation")] if validated else []),
            Column("test" if validated else "test (last epoch)"),
            *([Column("test (last)")] if validated else []),
            Column("chosen epoch"),
            Column("time"),
        ),
        (tuple(rows),) if rows else (),
        caption=(
            "Accuracy in %.",
            AT_CHOSEN.format("") if validated else AT_LAST,
            *(["Given weights were not trained here."] if any(_chosen(row) == GIVEN for row in table.to_pylist()) else []),
        ),
        notes=tuple(notes),
    )


def _chosen(row: dict[str, object]) -> str:
    if row["chosen_epoch"] is not None:
        return f"{row['chosen_epoch']}/{row['epochs']}"
    return GIVEN if row["status"] == "done" else NOTHING
