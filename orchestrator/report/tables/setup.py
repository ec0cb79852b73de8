"""What was asked for, as the jobs' own configs have it: data, recipes, methods and their knobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.jobs import canonical
from orchestrator.planning.plan import Plan
from orchestrator.report.analysis.formatting import NOTHING
from orchestrator.report.tables.table import Column, Row, Table, Value


def of_setup(plan: Plan) -> Table:
    """A row for each part of the experiment; what several jobs share is told once."""
    groups: dict[str, dict[str, list[str]]] = {}  # by what, the text and who it is of

    def note(what: str, config: Mapping[str, Any], who: str) -> None:
        those = groups.setdefault(what, {}).setdefault(_text(config), [])
        if who not in those:
            those.append(who)

    for job in plan:
        config = job.config
        if job.kind in ("teacher", "student"):
            data = dict(config["data"])
            note("data", data, str(data.pop("name")))
        if job.kind == "teacher":
            note("teacher", config.get("recipe") or {"weights given": config["weights"]}, job.title)
        if job.kind == "student":
            note("student", config["recipe"], config["model"])
            note("method", config["method"]["knobs"], job.labels["method"])
        if job.kind == "probe":
            note("probes", config["probe"], "all teachers")
    rows: list[tuple[Row, ...]] = [
        tuple((Value(what), Value(", ".join(who)), Value(text)) for text, who in texts.items())
        for what, texts in groups.items()
    ]
    return Table(
        "Set-up",
        (Column("part", left=True), Column("of", left=True), Column("values", left=True, long=True)),
        tuple(rows),
        caption=("Every knob with its value, defaults written out.",),
    )


def _text(config: Mapping[str, Any], prefix: str = "") -> str:
    parts = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            parts.append(_text(value, f"{prefix}{name}."))
        elif value is not None:
            parts.append(f"{prefix}{name} {value if isinstance(value, str) else canonical.text(value)}")
    return ", ".join(filter(None, parts)) or NOTHING
