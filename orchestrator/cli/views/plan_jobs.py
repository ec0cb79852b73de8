"""How the jobs of a plan are shown: one by one or, where they are many, a line for each cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.console import STYLES, clock, counted, table
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.space import read_space
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.estimate import Estimate
from orchestrator.planning.explain import Status
from orchestrator.planning.plan import Plan
from orchestrator.planning.state import State
from orchestrator.search.budget import planned

MANY = 60  # jobs of a plan that are not shown one by one, unless that is asked for
SEED = re.compile(r"( · |-)s\d+$")  # as the last part of a title
WORDS = {State.WAITING: "missing", State.IDLE: "not needed"}


def word(state: State) -> str:
    """The state as a plan says it: what waits in a run is missing here."""
    return WORDS.get(state, state.value)


def counts(jobs: Sequence[Job], found: Mapping[str, Status]) -> str:
    """3 done, 1 missing"""
    number = Counter(found[job.key].state for job in jobs)
    return ", ".join(f"{number[state]} {word(state)}" for state in State if number[state])


def is_large(plan: Plan) -> bool:
    """Whether its jobs are too many to be read one by one."""
    return len(plan) > MANY


def jobs_table(jobs: Sequence[Job], found: Mapping[str, Status], estimate: Estimate) -> Table:
    """A row for each job."""
    made = table("key", "state", "job", "left", "why", right=["left"], whole=["key", "state"])
    for job in jobs:
        status = found[job.key]
        title = f"{job.title} ({counted(trials(job), 'trial')})" if KINDS[job.kind].of_trials else job.title
        state = Text(word(status.state), style=STYLES[status.state])
        made.add_row(job.short, state, title, _left([job], estimate), _why(job, status))
    return _without_empty(made)


def cells_table(jobs: Sequence[Job], found: Mapping[str, Status], estimate: Estimate) -> Table:
    """A row for the jobs that differ in their seed alone: how many there are in each state, the seconds of all that is left of
    them, and why, as most of them have it."""
    cells: dict[str, list[Job]] = {}
    for job in jobs:
        cells.setdefault(SEED.sub("", job.title), []).append(job)
    states = [state for state in State if any(found[job.key].state is state for job in jobs)]
    words = [word(state) for state in states]
    made = table("cell", "jobs", *words, "left", "why", right=["jobs", *words, "left"], whole=["cell"])
    for name, some in cells.items():
        number = Counter(found[job.key].state for job in some)
        told = [Text(str(number[state] or ""), style=STYLES[state]) for state in states]
        made.add_row(name, str(len(some)), *told, _left(some, estimate), _mostly([_why(job, found[job.key]) for job in some]))
    return _without_empty(made)


def trials(search: Job) -> int:
    """How many trials a search is to be; fewer, where its space has no more points."""
    config = search.config
    how, space = canonical.from_plain(SearchConfig, config["how"]), read_space(config["space"])
    return planned(how, space, config["student"]["recipe"]["epochs"])


def _left(jobs: Sequence[Job], estimate: Estimate) -> str:
    """0:12, ~ where some of it is guessed; empty where nothing is known of them."""
    seconds = [found for job in jobs if (found := estimate.seconds.get(job.key)) is not None]
    guessed = any(job.key in estimate.guessed for job in jobs)
    return f"{'~' if guessed else ''}{clock(sum(seconds))}" if seconds else ""


def _mostly(reasons: Sequence[str]) -> str:
    """The most frequent of the reasons, and of how many jobs it is one."""
    said = Counter(reason for reason in reasons if reason)
    if not said:
        return ""
    [(reason, number)] = said.most_common(1)
    return reason if number == len(reasons) else f"{reason} ({number} of {len(reasons)})"


def _why(job: Job, status: Status) -> str:
    if status.state == State.RUNNING and KINDS[job.kind].of_trials:
        return f"{status.progress.get('ended', 0)} of {status.progress.get('trials', '…')} trials have ended"
    if status.state == State.RUNNING and job.epochs:
        return f"epoch {status.progress.get('epoch', 0)} of {job.epochs}"
    return status.reason


def _without_empty(made: Table) -> Table:
    made.columns = [column for column in made.columns if any(map(str, column.cells))]
    return made
