"""How the end of a run is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from orchestrator.cli.views.console import counted
from orchestrator.jobs.visible import visible
from orchestrator.planning.explain import titles

if TYPE_CHECKING:
    from orchestrator.outcome import Outcome


def view(outcome: Outcome, elapsed: str) -> Iterator[RenderableType]:
    """What failed and why, notes, and what was done."""
    for job, reason in outcome.failed:
        yield Text(f"failed: {job.title}: {reason}", style="red")
    if outcome.blocked:
        what = counted(len(outcome.blocked), "job")
        yield Text(f"not run, because what they need failed: {what} ({titles(list(outcome.blocked))})", style="red")
    for note in outcome.notes:
        yield Text(visible(note), style="yellow")
    if outcome.stopped:
        yield Text(f"Stopped by {outcome.stopped}. {kept(outcome)}")
    yield Text(summary(outcome, elapsed))


def kept(outcome: Outcome) -> str:
    """What the store keeps of the jobs that were at work when the run was stopped."""
    if not outcome.kept:
        return "Nothing was at work."
    words = [f"{job.title} after {counted(epochs, 'epoch')} of {job.epochs}" for job, epochs in outcome.kept if epochs]
    anew = titles([job for job, epochs in outcome.kept if not epochs])
    return " ".join(
        [
            *([f"Kept of what was at work: {'; '.join(words)}."] if words else []),
            *([f"Begun anew, since no epoch of it had ended: {anew}."] if anew else []),
        ]
    )


def summary(outcome: Outcome, elapsed: str) -> str:
    """One sentence of what the run came to."""
    if outcome.computed or outcome.failed or outcome.left:
        failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
        left = f", {len(outcome.left)} left" if outcome.left else ""
        return f"Did {counted(outcome.computed, 'job')} of {len(outcome.plan)} in {elapsed}{failed}{left}."
    return f"Nothing to do: all of {outcome.plan.name} was done before."
