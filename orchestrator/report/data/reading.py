"""All that a report reads of the store: every entry once, and every table of an entry once, whatever is made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, TypeVar, cast

import pyarrow as pa

from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.planning.state import Standing, State, standings
from orchestrator.search.journal import trials_so_far
from orchestrator.search.trial import Trial
from orchestrator.store.artifacts import Table
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store

DONE, FAILED, MISSING = "done", "failed", "missing"  # the words of a report's tables

Made = TypeVar("Made")


class Reading:
    """A plan and what the store held of it at one moment. Entries are read at the first question, many at once where the store
    is far away."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        self.store = store
        self._tables: dict[tuple[str, str], pa.Table | None] = {}
        self._trials: dict[str, list[Trial]] = {}
        self._made: dict[Callable[[Reading], Any], Any] = {}

    @cached_property
    def standings(self) -> dict[str, Standing]:
        """Of every job by key, in the order of the plan."""
        return standings(self.plan, self.store)

    def made(self, make: Callable[[Reading], Made]) -> Made:
        """What a function makes of this reading, made at the first question."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast(Made, self._made[make])

    def entry(self, job: Job) -> Entry | None:
        """What is committed of a job."""
        return self.standings[job.key].entry

    def status(self, job: Job) -> str:
        """done, failed or missing."""
        state = self.standings[job.key].state
        return {State.DONE: DONE, State.FAILED: FAILED}.get(state, MISSING)

    def reason(self, job: Job) -> str:
        """Why there is no result; empty where there is one. What waits for a failed ancestor says so."""
        standing = self.standings[job.key]
        evidence, state = standing.evidence, standing.state
        if state == State.DONE:
            return ""
        if evidence.corrupt:
            return f"its entry in the store is corrupt ({evidence.corrupt})"
        if state == State.FAILED:
            return str(evidence.failure["reason"])
        if failed := self._failed_above(standing):
            return f"{failed.title} failed: {self.reason(failed)}"
        if trials := evidence.progress.get("ended"):
            return f"{trials} of {evidence.progress['trials']} trials have ended"
        if epoch := evidence.progress.get("epoch"):
            return f"at epoch {epoch} of {job.epochs}"
        return "not run yet"

    def table(self, job: Job, artifact: Table) -> pa.Table | None:
        """A table of a job's entry; None where there is no entry, or the entry has no such table.

        Raises:
            CorruptEntry: where it is not what the manifest says.
        """
        where = job.key, artifact.name
        if where not in self._tables:
            self._tables[where] = self.read(job, artifact)
        return self._tables[where]

    def read(self, job: Job, artifact: Table) -> pa.Table | None:
        """What :meth:`table` gives, read for the asker alone: a table that is kept is a file that stays mapped, of which a
        process may have some ten thousand.

        Raises:
            CorruptEntry: where it is not what the manifest says.
        """
        entry = self.entry(job)
        return artifact.read(entry) if entry and artifact.is_in(entry) else None

    def tables(self, jobs: Iterable[Job], artifact: Table) -> list[tuple[Job, pa.Table]]:
        """That table of every job that has it; many are fetched at once where the store is far away.

        Raises:
            CorruptEntry: where one is not what its manifest says.
        """
        asked = list(jobs)
        list(self.store.each(lambda job: self.table(job, artifact), [job for job in asked if self.entry(job)]))
        found = ((job, self.table(job, artifact)) for job in asked)
        return [(job, table) for job, table in found if table is not None]

    def trials(self, search: Job) -> list[Trial]:
        """The trials of a search that have begun, by number."""
        if search.key not in self._trials:
            self._trials[search.key] = trials_so_far(search, self.store)
        return self._trials[search.key]

    def _failed_above(self, standing: Standing) -> Job | None:
        """The first job by whose failure this one is blocked."""
        for above in standing.lost:
            if self.standings[above.key].state == State.FAILED:
                return above
        return next(filter(None, (self._failed_above(self.standings[above.key]) for above in standing.lost)), None)


def once(make: Callable[[Reading], Made]) -> Callable[[Reading], Made]:
    """Decorates what makes something of a reading: it is made once of each, whoever asks."""

    @functools.wraps(make)
    def asked(reading: Reading) -> Made:
        return reading.made(make)

    return asked
