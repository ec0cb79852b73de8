"""How the status of an experiment is shown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from orchestrator.cli.views.console import STYLES, clock, counted, table
from orchestrator.cli.views.progress import COLUMNS as RUNNING
from orchestrator.cli.views.progress import rows
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.explain import Status
from orchestrator.planning.plan import Plan
from orchestrator.planning.state import State
from orchestrator.store.backends.backend import Holder

COLUMNS = (State.DONE, State.RUNNING, State.WAITING, State.FAILED, State.BLOCKED, State.IDLE)
TROUBLE = (State.FAILED, State.BLOCKED)


def view(
    plan: Plan, found: Mapping[str, Status], run: Holder | None, workers: Sequence[Holder] = ()
) -> Iterator[RenderableType]:
    """Who is at work; a row for each stage; what runs; what failed and why."""
    if run:
        yield Text(f"{plan.name}: a run is at work on it, for {clock(time.time() - run.since)} now ({run})")
    if workers:
        verb = "is" if len(workers) == 1 else "are"
        for_ = f"for {clock(time.time() - workers[0].since)} now"
        yield Text(f"{plan.name}: {counted(len(workers), 'worker')} {verb} at work on it, {for_} ({_on_hosts(workers)})")
    if not (run or workers):
        yield Text(f"{plan.name}: no run is at work on it")
    yield Text()
    yield _stages(plan, found)
    running = [job for job in plan if found[job.key].state == State.RUNNING]
    if running:
        made = table(*RUNNING, "last sign", right=RUNNING[1:])
        for job in running:
            progress = found[job.key].progress
            first, *trials = rows(job, progress)
            made.add_row(*first, f"{clock(time.time() - progress['updated'])} ago")
            for row in trials:
                made.add_row(*row)
        yield Text()
        yield made
    trouble = [job for job in plan if found[job.key].state in TROUBLE]
    if trouble:
        yield Text()
        for job in trouble:
            status = found[job.key]
            yield Text(f"{job.title}: {status.state}, {status.reason}", style=STYLES[status.state])


def _on_hosts(workers: Sequence[Holder]) -> str:
    """processes 71, 72 on node1; process 9 on node2"""
    hosts: dict[str, list[int]] = {}
    for worker in workers:
        hosts.setdefault(worker.host, []).append(worker.pid)
    return "; ".join(
        f"process{'es' if len(pids) > 1 else ''} {', '.join(map(str, sorted(pids)))} on {host}"
        for host, pids in sorted(hosts.items())
    )


def _stages(plan: Plan, found: Mapping[str, Status]) -> RenderableType:
    used = [state for state in COLUMNS if any(status.state == state for status in found.values())]
    made = table("stage", *(state.value for state in used), right=[state.value for state in used])
    for kind in KINDS:
        if jobs := plan.of(kind):
            number = Counter(found[job.key].state for job in jobs)
            made.add_row(kind, *(str(number[state] or "") for state in used))
    return made
