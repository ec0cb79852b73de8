"""Results beside a plan that explain why one of its jobs is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store

TOLD = 3  # settings in which a result may differ and still be worth a word
NAMES = ("model", "seed", "data.name", "method.name")  # what differs here is another job, not a changed one

Settings = dict[str, Any]
Identity = tuple[Any, ...]  # values of NAMES


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
            if len(names) <= TOLD:
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
            for entry in self.store.entries(kind):
                if entry.manifest["key"] not in self.plan.jobs:
                    had = settings(entry.manifest["version"], entry.manifest["config"])
                    found[_identity(had)].append((entry, had))
        return self._known[kind]


def settings(version: int, config: Mapping[str, Any]) -> Settings:
    """All that decides a result besides its parents, by dotted names."""
    return {"stage version": version, **dict(_flat(config))}


def _identity(found: Settings) -> Identity:
    return tuple(found.get(name) for name in NAMES)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
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


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def _changed_roles(job: Job, entry: Entry) -> list[str]:
    """The first role of parents that differs: where the teachers changed, all that comes of them did too."""
    had = entry.manifest["parents"]
    return [role for role in sorted(job.parents.keys() | had.keys(), reverse=True) if job.parents.get(role) != had.get(role)][
        :1
    ]
