"""How the differences of two jobs are shown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from orchestrator.cli.views.console import table
from orchestrator.cli.views.plan import knob
from orchestrator.jobs.job import SHOWN
from orchestrator.jobs.visible import visible
from orchestrator.planning.differences import ABSENT, Comparison, Difference
from orchestrator.planning.lookup import Known


def view(first: Known, second: Known, comparison: Comparison) -> Iterator[RenderableType]:
    """Both jobs, and a table for each pair of ancestors that differs in settings of its own."""
    if first.key == second.key:
        yield Text(f"They are the same job: {_named(first)}.")
        return
    yield from _told(comparison.compare(first, second))


def _told(found: Difference, path: str = "") -> Iterator[RenderableType]:
    """A pair where it differs by itself, then its parents; ``path``: as which ancestors they were come to."""
    assert found.first is not None
    assert found.second is not None
    pair = f"{_named(found.first)} and {_named(found.second)}"
    if found.unknown:
        yield Text(f"{path}: {pair}" if path else pair, style="bold")
        yield Text("  what decided one of them is not known any more: it left no result, and is in no plan that was given")
    elif found.changes or not path:
        yield Text(f"{path}: {pair}" if path else pair, style="bold")
        yield _changes(found) if found.changes else Text("  by themselves they are the same")
    for parent in found.parents:
        inner = " → ".join(filter(None, (path, f"{parent.role} {parent.place + 1}")))
        if parent.first and parent.second and not parent.again:
            yield from _told(parent, inner)
        elif not parent.again:
            yield Text(f"{inner}: {_alone(parent)}", style="bold")


def _changes(found: Difference) -> RenderableType:
    made = table("  setting", "first", "second")
    for change in found.changes:
        made.add_row(f"  {visible(change.name)}", _value(change.first), _value(change.second))
    return made


def _alone(found: Difference) -> str:
    if found.first:
        return f"the first alone has {_named(found.first)}"
    if found.second:
        return f"the second alone has {_named(found.second)}"
    return "the same, in another order"


def _named(known: Known) -> str:
    return f"{visible(known.title)} ({known.key[:SHOWN]})"


def _value(value: object) -> str:
    return "–" if value is ABSENT else visible(knob(value))
