"""How far the jobs of a run are, in words and numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from orchestrator.cli.views.console import STYLES, clock, counted
from orchestrator.experiment.spec import Resources
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.estimate import epochs_left
from orchestrator.planning.schedule import TINY, Machine, demand
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from orchestrator.search.trial import AT_WORK

SHOWN = (State.DONE, State.RUNNING, State.WAITING, State.FAILED, State.BLOCKED)
COLUMNS = ("running", "done", "loss", "accuracy", "left")  # of a table of jobs at work


def running(snapshot: Snapshot) -> Iterator[tuple[Job, Mapping[str, Any]]]:
    """The jobs at work, and what they last said."""
    for job in snapshot.running:
        yield job, snapshot.progress.get(job.key, {})


def fraction_done(snapshot: Snapshot) -> float:
    """The part of the jobs that is done, in [0, 1]; half of a job's epochs, or of a search's trials, is half a job."""
    wanted = len(snapshot.states) - snapshot.count(State.IDLE)
    parts = sum(part(job, progress) for job, progress in running(snapshot))
    return (snapshot.count(State.DONE) + parts) / wanted if wanted else 1.0


def part(job: Job, progress: Mapping[str, Any]) -> float:
    """How much of a running job is done, in [0, 1]."""
    if KINDS[job.kind].of_trials:
        return progress.get("ended", 0) / progress["trials"] if "trials" in progress else 0.0
    return progress.get("epoch", 0) / job.epochs if job.epochs else 0.0


def tally(snapshot: Snapshot) -> Text:
    """3 done, 2 running, 5 waiting"""
    parts = [Text(f"{snapshot.count(state)} {state}", style=STYLES[state]) for state in SHOWN if snapshot.count(state)]
    return Text(", ").join(parts)


def cells(job: Job, progress: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Epochs or trials, loss, accuracy (of a search the best so far) and time left of a running job, as far as it has said
    them; before its first epoch has ended, what it does."""
    if KINDS[job.kind].of_trials:
        done = f"{progress.get('ended', 0)}/{progress['trials']} trials" if "trials" in progress else ""
        return _cells(done, progress, trials_left(progress))
    return _cells_of_epochs(job.epochs, progress)


def rows(job: Job, progress: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The rows of a job at work in a table of :data:`COLUMNS`: its own, and below that of a search those of its trials at
    work, with what they try."""
    yield job.title, *cells(job, progress)
    for trial in progress.get(AT_WORK, ()):
        tries = ", ".join(f"{name} {canonical.short(value)}" for name, value in trial["values"].items())
        yield f"  trial {trial['number']}: {tries}", *_cells_of_epochs(trial["epochs"], trial)


def _cells_of_epochs(epochs: int, progress: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if not epochs:
        return _cells("", progress, None)
    return _cells(f"{progress.get('epoch', 0)}/{epochs}", progress, epochs_left(epochs, progress))


def _cells(done: str, progress: Mapping[str, Any], rest: float | None) -> tuple[str, str, str, str]:
    loss = f"{progress['loss']:.4g}" if "loss" in progress else ""
    accuracy = f"{100 * progress['accuracy']:.1f} %" if "accuracy" in progress else ""
    return progress.get("doing") or done, loss, accuracy, "" if rest is None else clock(rest)


def trials_left(progress: Mapping[str, Any]) -> float | None:
    """Seconds until a search's trials have ended, from the mean duration of those that have and how many run at once; None
    before there is one. A trial at work counts as half done, and for what has gone by since the search last said something."""
    if "trial_seconds" not in progress:
        return None
    at_work, since = progress["at_work"], max(0.0, time.time() - progress["updated"])
    open_ = max(0.0, progress["trials"] - progress["ended"] - at_work / 2)
    each = progress["trial_seconds"] / max(1, at_work)
    return float(open_ * each - min(since, each))


def at(job: Job, progress: Mapping[str, Any]) -> str:
    """4/20 91.2 %"""
    done, _, accuracy, _ = cells(job, progress)
    return " ".join(filter(None, (done, accuracy))) or "…"


def in_use(snapshot: Snapshot, resources: Resources) -> Machine:
    """What the jobs at work may use; of a search, its trials."""
    found = Machine(0, 0)
    for job, progress in running(snapshot):
        asked, times = demand(job, resources), progress.get("at_work", 0) if KINDS[job.kind].of_trials else 1
        found = Machine(found.cpus + times * asked.cpus, found.gpus + times * asked.gpus)
    return found


def why_no_more(snapshot: Snapshot, resources: Resources) -> str:
    """What is in use, and what the jobs that wait wait for: a free share, a worker to start, or other jobs."""
    parts = []
    used, has = in_use(snapshot, resources), snapshot.machine
    if has:
        gpus = f", {used.gpus:g} of {has.gpus:g} GPU" if has.gpus else ""
        parts.append(f"{used.cpus:g} of {has.cpus:g} CPU cores{gpus} in use")
    waiting, ready = snapshot.count(State.WAITING), min(snapshot.ready, snapshot.count(State.WAITING))
    if ready:
        full = has and not _has_room(snapshot, resources, used, has)
        what = "free ones" if full else "a worker to take them"
        parts.append(f"{counted(ready, 'job')} {'waits' if ready == 1 else 'wait'} for {what}")
    if behind := waiting - ready:
        parts.append(f"{counted(behind, 'job')} {'waits for what it needs' if behind == 1 else 'wait for what they need'}")
    return "; ".join(parts)


def _has_room(snapshot: Snapshot, resources: Resources, used: Machine, has: Machine) -> bool:
    """Whether the smallest share of what waits would fit."""
    asked = [demand(job, resources) for job in snapshot.waiting_like]
    cpus, gpus = has.cpus - used.cpus, has.gpus - used.gpus
    return any(each.cpus <= cpus + TINY and each.gpus <= gpus + TINY for each in asked)
