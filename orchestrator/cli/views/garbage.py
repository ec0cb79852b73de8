"""How what can be removed is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.text import Text

from orchestrator.cli.views.console import table
from orchestrator.cli.views.units import size
from orchestrator.planning.garbage import Found


def overview(location: str, heaps: Iterable[Found]) -> Iterator[RenderableType]:
    """A row for each heap, and how it is removed."""
    yield Text(f"What can be removed, of the store {location} and of this machine:")
    yield Text()
    made = table("", "number", "size", "to remove it", right=["number", "size"])
    for found in heaps:
        how = f"not now: {found.refused}" if found.refused else f"--delete {found.heap}"
        made.add_row(found.heap.description, str(found.count), size(found.bytes), how if found.count else "")
    yield made


def removed(heaps: Iterable[Found]) -> Iterator[RenderableType]:
    """What was done to each heap."""
    for found in heaps:
        if found.refused:
            yield Text(f"{found.heap.description}: not removed, {found.refused}")
        else:
            yield Text(f"{found.heap.description}: {found.count} removed, {size(found.bytes)}")
