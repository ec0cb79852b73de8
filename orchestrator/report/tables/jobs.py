"""Every job of an experiment."""

from __future__ import annotations

from orchestrator.report.analysis.formatting import duration
from orchestrator.report.data.reading import Reading
from orchestrator.report.tables.table import Column, Row, Table, Value


def of_jobs(reading: Reading) -> Table:
    """Every job with its key."""
    groups: dict[str, list[Row]] = {}
    for job in reading.plan:
        entry = reading.entry(job)
        row = (
            Value(job.kind),
            Value(job.title),
            Value(job.short),
            Value(reading.status(job), tone="" if entry else "bad"),
            Value(reading.reason(job)),
            Value(duration(entry.manifest["seconds"] if entry else None)),
        )
        groups.setdefault(job.kind, []).append(row)
    names = ("kind", "job", "key", "status", "reason")
    columns = (*(Column(name, left=True) for name in names), Column("time"))
    return Table("Jobs", columns, tuple(map(tuple, groups.values())))
