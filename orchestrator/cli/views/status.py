"""How the status of an experiment is shown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.text import Text

from orchestrator.cli.views.console import STYLES, clock, table
from orchestrator.cli.views.run import cells
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.explain import Status
from orchestrator.planning.plan import Plan
from orchestrator.planning.state import State
from orchestrator.store.backends.backend import Holder

COLUMNS = (State.DONE, State.RUNNING, State.WAITING, State.FAILED, State.BLOCKED, State.IDLE)
TROUBLE = (State.FAILED, State.BLOCKED)


def view(plan: Plan, found: Mapping[str, Status], holder: Holder | None) -> Iterator[RenderableType]:
    """Who is at work; a row for each stage; what runs; what failed and why."""
    if holder is None:
        yield Text(f"{plan.name}: no run is at work on it")
    else:
        yield Text(f"{plan.name}: a run is at work on it, for {clock(time.time() - holder.since)} now ({holder})")
    yield Text()
    yield _stages(plan, found)
    running = [job for job in plan if found[job.key].state == State.RUNNING]
    if running:
        made = table("running", "done", "accuracy", "left", "last sign", right=["done", "accuracy", "left"])
        for job in running:
            progress = found[job.key].progress
            made.add_row(job.title, *cells(job, progress), f"{clock(time.time() - progress['updated'])} ago")
        yield Text()
        yield made
    trouble = [job for job in plan if found[job.key].state in TROUBLE]
    if trouble:
        yield Text()
        for job in trouble:
            status = found[job.key]
            yield Text(f"{job.title}: {status.state}, {status.reason}", style=STYLES[status.state])


def _stages(plan: Plan, found: Mapping[str, Status]) -> RenderableType:
    used = [state for state in COLUMNS if any(status.state == state for status in found.values())]
    made = table("stage", *(state.value for state in used), right=[state.value for state in used])
    for kind in KINDS:
        if jobs := plan.of(kind):
            number = Counter(found[job.key].state for job in jobs)
            made.add_row(kind, *(str(number[state] or "") for state in used))
    return made
