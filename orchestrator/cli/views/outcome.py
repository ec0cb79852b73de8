"""How the end of a run is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from orchestrator.cli.views.console import counted
from orchestrator.planning.explain import titles

if TYPE_CHECKING:
    from orchestrator.driver import Outcome


def view(outcome: Outcome, elapsed: str) -> Iterator[RenderableType]:
    """What failed and why, notes, and what was done."""
    for job, reason in outcome.failed:
        yield Text(f"failed: {job.title}: {reason}", style="red")
    if outcome.blocked:
        what = counted(len(outcome.blocked), "job")
        yield Text(f"not run, because what they need failed: {what} ({titles(list(outcome.blocked))})", style="red")
    for note in outcome.notes:
        yield Text(note, style="yellow")
    yield Text(summary(outcome, elapsed))


def summary(outcome: Outcome, elapsed: str) -> str:
    """One sentence of what the run came to."""
    if outcome.computed or outcome.failed:
        failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
        return f"Did {counted(outcome.computed, 'job')} of {len(outcome.plan)} in {elapsed}{failed}."
    return f"Nothing to do: all of {outcome.plan.name} was done before."
