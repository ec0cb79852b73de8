"""What students and teachers cost: size, arithmetic, and how much smaller a student is than what it learns from."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from orchestrator.report.analysis.formatting import NOTHING, count
from orchestrator.report.tables.table import Column, Table, Value

MIB = 2**20 / 4  # parameters in single precision


def of_networks(students: pa.Table, teachers: pa.Table) -> Table:
    """A row per model of the students, then one per teacher, of those of which one is done."""
    taught = {row["teacher"]: row["parameters"] for row in teachers.to_pylist() if row["parameters"]}
    rows = []
    for name, row in _first(students, "student").items():
        largest = max((taught[each] for each in row["teachers"] if each in taught), default=None)
        rows.append(_row("student", name, row, NOTHING if largest is None else f"{largest / row['parameters']:.1f}×"))
    rows += [_row("teacher", name, row, NOTHING) for name, row in _first(teachers, "teacher").items()]
    return Table(
        "Networks",
        (
            Column("role", left=True),
            Column("network", left=True),
            Column("parameters"),
            Column("size"),
            Column("multiply-accumulates"),
            Column("smaller than its largest teacher"),
        ),
        (tuple(rows),) if rows else (),
        caption=(
            "Parameters, their size in single precision, and multiply-accumulates of convolutions and linear layers for one "
            "image.",
        ),
    )


def _first(table: pa.Table, name: str) -> dict[str, dict[str, Any]]:
    """Of each name a row that knows the number of parameters, rather one that has teachers and knows its multiplications."""
    known = [row for row in table.to_pylist() if row["parameters"]]
    found: dict[str, dict[str, Any]] = {}
    for row in known:
        found.setdefault(row[name], row)
    for row in sorted(known, key=lambda row: (not row.get("teachers", True), row["multiplications"] is None), reverse=True):
        found[row[name]] = row
    return found


def _row(role: str, name: str, row: dict[str, Any], smaller: str) -> tuple[Value, ...]:
    counted = row["multiplications"]
    return (
        Value(role),
        Value(name),
        Value(count(row["parameters"])),
        Value(f"{row['parameters'] / MIB:.2f} MiB"),
        Value(NOTHING if counted is None else f"{counted / 1e6:.2f} M"),
        Value(smaller),
    )
