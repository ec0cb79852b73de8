"""Any entry of a table held against the laws of its table: what `kd check` does for a plugin, and a plugin's own tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kd_core.laws import datasets, evaluations, methods, models
from kd_core.laws.law import Law, Verdict, check_laws
from kd_core.plugins.tables import TABLES

LAWS: dict[str, dict[str, Law]] = {
    "METHODS": methods.METHOD_LAWS,
    "MODELS": models.MODEL_LAWS,
    "DATASETS": datasets.DATASET_LAWS,
    "EVALUATIONS": evaluations.EVALUATION_LAWS,
}


def verdicts(table: str, name: str, entry: Any) -> Iterator[Verdict]:
    """What became of each law of the table for an entry, which need not be in the table."""
    with _entered(table, name, entry):
        if table == "METHODS":
            yield from check_laws(LAWS[table], methods.Case(entry), entry)
        elif table == "MODELS":
            yield from check_laws(LAWS[table], models.Case(name, entry), entry.make or entry)
        elif table == "DATASETS":
            yield from check_laws(LAWS[table], datasets.Case(name, entry), entry.read or entry)
        else:
            yield from check_laws(LAWS[table], evaluations.Case(entry), entry)


def broken(table: str, name: str, entry: object) -> list[str]:
    """``file:line: law: problem`` of every law that does not hold."""
    return [str(verdict) for verdict in verdicts(table, name, entry) if verdict.problem]


@contextmanager
def _entered(table: str, name: str, entry: object) -> Iterator[None]:
    """The entry is in its table for a while: data sets are read by name."""
    if name in TABLES[table]:
        yield
        return
    TABLES[table][name] = entry
    try:
        yield
    finally:
        del TABLES[table][name]
