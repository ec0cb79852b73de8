"""The curves of a training, whether it is done or still runs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa

from kd_core.training.checkpoint_files import CheckpointFiles, newest_first, records
from orchestrator.jobs import canonical


class Point(NamedTuple):
    """One value of a metric. MLflow keeps points that are equal in all four only once."""

    name: str
    value: float
    time_ms: int  # Unix time
    step: int


class Epoch(NamedTuple):
    """The points of one epoch."""

    began_ms: int  # Unix time
    points: tuple[Point, ...]


def finished(table: pa.Table, limit: int | None = None) -> tuple[Epoch, ...]:
    """The epochs of a table of :data:`orchestrator.store.artifacts.HISTORY`, or of its first ``limit`` rows."""
    rows: dict[tuple[int, int, float], dict[str, float]] = {}
    for row in table.slice(0, limit).to_pylist():
        rows.setdefault((row["epoch"], row["time_ms"], row["seconds"]), {})[row["name"]] = row["value"]
    return tuple(_epoch(*when, metrics.items()) for when, metrics in rows.items())


def unfinished(work: CheckpointFiles) -> tuple[Epoch, ...]:
    """The epochs that the newest readable checkpoint tells of; its tensors are not read."""
    for name in newest_first(work):
        with contextlib.suppress(OSError, ValueError):
            return tuple(
                _epoch(record["epoch"], record["time_ms"], record["seconds"], record["metrics"].items())
                for record in records(work, name)
            )
    return ()


def mark(epochs: tuple[Epoch, ...]) -> str:
    """Names epochs by number and content: two histories have one mark where their curves are the same."""
    return f"{len(epochs)}:{hashlib.sha256(repr(epochs).encode()).hexdigest()[:16]}"


def count(mark: str) -> int:
    """The number of epochs that a mark names; 0 for an empty one."""
    return int(mark.partition(":")[0] or 0)


def flat(config: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested settings as ``{"recipe.lr": "0.05"}``; what is no text stands in canonical JSON, so equal values look equal."""
    found: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value if isinstance(value, str) else canonical.text(value)
    return found


def _epoch(number: int, time_ms: int, seconds: float, metrics: Iterable[tuple[str, float]]) -> Epoch:
    points = [Point(name, float(value), time_ms, number) for name, value in metrics]
    return Epoch(int(time_ms - 1000 * seconds), (*points, Point("epoch_seconds", float(seconds), time_ms, number)))
