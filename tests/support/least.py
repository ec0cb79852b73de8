"""The least that the results of an entry hold, for stores that tests make by hand."""

from __future__ import annotations

from typing import Any

LEAST: dict[str, dict[str, Any]] = {
    "probe": {"embedding": 0.5},
    "evaluation": {"number": 0.5},
    "search": {"chosen": {}},
    "trial": {"validation_accuracy": 0.5},
    "bank": {"views": 1, "images": 1, "bytes": 1},
    "teacher": {
        "test_accuracy": 0.5,
        "shape": {"stages": [[16, 8, 8], [32, 4, 4], [64, 2, 2]], "embedding": 64, "classes": 10},
    },
}
LEAST["student"] = LEAST["teacher"]
TABLES = ("probe", "evaluation")  # kinds whose results are numbers by names of their own


def least(kind: str, **results: Any) -> dict[str, Any]:
    """Results of a kind, with these among them."""
    return results if kind in TABLES and results else LEAST.get(kind, {}) | results
