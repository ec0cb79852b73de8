"""A table as text, before it has a format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """Where room is short, columns are left out, those of the highest ``rank`` first and those of rank 0 never. What is
    ``long`` goes over several lines."""

    name: str
    left: bool = False
    rank: int = 0
    long: bool = False


@dataclass(frozen=True)
class Value:
    """``tone`` is better, worse, bad or nothing; ``heat`` is a place in [0, 1] between a table's lowest and highest value."""

    text: str
    strong: bool = False
    tone: str = ""
    heat: float | None = None


Row = tuple[Value, ...]


@dataclass(frozen=True)
class Table:
    """Groups of rows belong together. ``about`` says how to read the table, its first sentence where room is short; ``legend``
    what abbreviations mean, ``strong`` what a strong value is; ``notes`` are numbered from 1 and cited as [1]."""

    title: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[Row, ...], ...]
    caption: tuple[str, ...] = ()
    legend: tuple[str, ...] = ()
    strong: str = ""
    notes: tuple[str, ...] = ()
