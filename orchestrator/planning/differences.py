"""Why two jobs are not the same: the settings in which they, or any of their ancestors, differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from orchestrator.jobs.job import Job
from orchestrator.planning.explain import settings
from orchestrator.planning.lookup import Known, Lookup

ABSENT = object()  # what a job has that does not have a setting


@dataclass(frozen=True)
class Change:
    """A setting, by its dotted name, as either job has it; :data:`ABSENT` where one has none."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Difference:
    """Two jobs that are not the same: ``role`` and ``place`` say as which parent of those above. Where one of them is None, the
    other one stands alone. ``unknown``: nobody knows what decided one of them, so there is nothing to compare.
    ``again``: told above."""

    first: Known | None
    second: Known | None
    role: str = ""
    place: int = 0
    changes: tuple[Change, ...] = ()
    parents: tuple[Difference, ...] = ()
    unknown: bool = False
    again: bool = False


@dataclass
class Comparison:
    """Compares jobs; ``firsts`` and ``seconds`` know the parents of either."""

    firsts: Lookup
    seconds: Lookup
    _told: set[tuple[str, str]] = field(default_factory=set)

    def compare(self, first: Known, second: Known, role: str = "", place: int = 0) -> Difference:
        """What differs between two jobs whose keys are not the same; each pair of ancestors is told once."""
        pair = first.key, second.key
        if pair in self._told:
            return Difference(first, second, role, place, again=True)
        self._told.add(pair)
        if not (first.job and second.job):
            return Difference(first, second, role, place, unknown=True)
        parents = tuple(self._parents(first.job, second.job))
        return Difference(first, second, role, place, tuple(changes(first.job, second.job)), parents)

    def _parents(self, first: Job, second: Job) -> Iterator[Difference]:
        """Of every role those that are not the same: in order, or, where there are fewer of them, those that are too many."""
        for role in dict.fromkeys((*first.parents, *second.parents)):
            ours, theirs = first.parents.get(role, []), second.parents.get(role, [])
            if sorted(ours) == sorted(theirs) and ours != theirs:
                yield Difference(None, None, role)  # the same in another order
                continue
            own = [key for key in ours if key not in theirs], [key for key in theirs if key not in ours]
            for one, other in zip_longest(*own):
                place = ours.index(one) if one else theirs.index(other)
                yield self._pair(role, place, one, other)

    def _pair(self, role: str, place: int, one: str | None, other: str | None) -> Difference:
        ours = self._known(self.firsts, one)
        theirs = self._known(self.seconds, other)
        if ours and theirs:
            return self.compare(ours, theirs, role, place)
        return Difference(ours, theirs, role, place)

    @staticmethod
    def _known(lookup: Lookup, key: str | None) -> Known | None:
        return None if key is None else lookup.named(key) or Known("?", key, "a job that is gone")


def changes(first: Job, second: Job) -> Iterator[Change]:
    """What is not the same in what decides the results of two jobs, but for their parents."""
    if first.kind != second.kind:
        yield Change("kind", first.kind, second.kind)
    ours, theirs = settings(first.version, first.config), settings(second.version, second.config)
    for name in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(name, ABSENT), theirs.get(name, ABSENT)
        if one != other:
            yield Change(name, one, other)
