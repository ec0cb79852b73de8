"""Why each job stands where it does, in a few words; of a missing one, by the results beside the plan that are nearest."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.planning.state import Standing, State, standings
from orchestrator.search import journal
from orchestrator.search.trial import AT_WORK
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store

MOST_CHANGES = 3  # settings in which a result may differ and still be worth a word
NAMES = ("model", "seed", "data.name", "method.name")  # what differs here is another job, not a changed one

DIGEST = re.compile("[0-9a-f]{64}")

Settings = dict[str, Any]
Identity = tuple[Any, ...]  # values of NAMES


@dataclass(frozen=True)
class Status:
    """A job's state, why it is that in a few words (empty where there is no more to say), and what it last said of itself."""

    state: State
    reason: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)


def statuses(plan: Plan, store: Store) -> dict[str, Status]:
    """The status of each job by key."""
    return explained(plan, store, standings(plan, store))


def with_trials(plan: Plan, store: Store, found: Mapping[str, Status]) -> dict[str, Status]:
    """The same statuses, where each search at work tells of its trials at work, too."""
    told = dict(found)
    for search in plan.of("search"):
        status = found[search.key]
        if status.state == State.RUNNING:
            told[search.key] = replace(status, progress={**status.progress, AT_WORK: journal.at_work(search, store)})
    return told


def explained(plan: Plan, store: Store, found: Mapping[str, Standing]) -> dict[str, Status]:
    """The status of each job by key, where its standing is known."""
    neighbours = Neighbours(plan, store)
    return {key: _status(standing, found, neighbours) for key, standing in found.items()}


def _status(standing: Standing, all_: Mapping[str, Standing], neighbours: Neighbours) -> Status:
    job, state, evidence = standing.job, standing.state, standing.evidence
    progress, failure = evidence.progress, evidence.failure
    if state == State.DONE:
        return Status(state)
    if state == State.IDLE:
        return Status(state, "nothing that is missing needs it")
    if state == State.RUNNING:
        return Status(state, progress=progress)
    if evidence.corrupt:
        return Status(state, f"its entry is corrupt and will be made again: {evidence.corrupt.partition(': ')[2]}")
    if state == State.FAILED:
        return Status(state, f"failed last time: {failure['reason']}")
    if state == State.BLOCKED:
        return Status(state, f"needs {titles(standing.lost)}, which failed")
    if epoch := evidence.checkpointed:
        return Status(state, f"goes on after epoch {epoch} of {job.epochs}", {**progress, "epoch": epoch})
    if trials := progress.get("ended"):
        return Status(state, f"goes on after {trials} of {progress['trials']} trials", progress)
    if failure:
        return Status(state, f"tried again; failed last time: {failure['reason']}")
    if near := neighbours.nearest(job):
        return Status(state, near)
    if open_ := [all_[above].job for above in job.ancestors if all_[above].state != State.DONE]:
        return Status(state, f"never run; needs {titles(open_)}")
    return Status(state, "never run")


def titles(jobs: Iterable[Job], shown: int = 3) -> str:
    """The first few titles, and how many more."""
    names = [job.title for job in jobs]
    listed = ", ".join(names[:shown])
    return listed if len(names) <= shown else f"{listed} and {len(names) - shown} more"


class Neighbours:
    """What the store holds beside the plan. Entries are read once per kind, when first asked for."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        self.store = store
        self._known: dict[str, defaultdict[Identity, list[tuple[Entry, Settings]]]] = {}

    def nearest(self, job: Job) -> str:
        """``recipe.lr is 0.05, done with 0.1 (3f2a09bc…)``, or nothing where no result is near."""
        if "model" not in job.config:
            return ""
        wanted = settings(job.version, job.config)
        near = []
        for entry, had in self._of(job.kind).get(_identity(wanted), ()):
            names = sorted(name for name in wanted.keys() | had.keys() if wanted.get(name, ...) != had.get(name, ...))
            if len(names) <= MOST_CHANGES:
                near.append((len(names), -entry.manifest["finished"], names, entry, had))
        if not near:
            return ""
        _, _, names, entry, had = min(near, key=lambda found: found[:2])
        changes = [_change(name, wanted, had) for name in names]
        changes = changes or [f"its {role.partition(':')[0]} changed" for role in _changed_roles(job, entry)]
        return f"{'; '.join(changes)} ({entry.manifest['key'][:8]}…)"

    def _of(self, kind: str) -> Mapping[Identity, list[tuple[Entry, Settings]]]:
        if kind not in self._known:
            found = self._known[kind] = defaultdict(list)
            for entry in self.store.entries(kind, but=self.plan.jobs):
                had = settings(entry.manifest["version"], entry.manifest["config"])
                found[_identity(had)].append((entry, had))
        return self._known[kind]


def settings(version: int, config: Mapping[str, object]) -> Settings:
    """All that decides a result besides its parents, by dotted names."""
    return {"stage version": version, **dict(_flat(config))}


def _identity(found: Settings) -> Identity:
    return tuple(found.get(name) for name in NAMES)


def _flat(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _change(name: str, wanted: Settings, had: Settings) -> str:
    if name not in had:
        return f"{name} is new"
    if name not in wanted:
        return f"{name} is gone"
    return f"{name} is {_shown(wanted[name])}, done with {_shown(had[name])}"


def _shown(value: object) -> str:
    text = "null" if value is None else str(value)
    return f"{text[:8]}…" if DIGEST.fullmatch(text) else text


def _changed_roles(job: Job, entry: Entry) -> list[str]:
    """The first role of parents that differs: where the teachers changed, all that comes of them did too."""
    had = entry.manifest["parents"]
    return [role for role in sorted(job.parents.keys() | had.keys(), reverse=True) if job.parents.get(role) != had.get(role)][
        :1
    ]
