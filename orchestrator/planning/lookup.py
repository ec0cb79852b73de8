"""Which job a person means: by its name as the plan shows it, or by the beginning of its key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.plan import Plan
from orchestrator.search.journal import trials_so_far
from orchestrator.store.entry import Entry
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.logs import LOGS
from orchestrator.store.store import Store

KEY = re.compile(r"[0-9a-f]{4,64}")
NEAREST = 5  # names that are told where one is not known


class NoSuchJob(ValueError):
    """There is no job of that name, or there are several; the text says which are near."""


@dataclass(frozen=True)
class Known:
    """A job as it was found: of the plan, a trial of its searches, or another one of the store. ``job`` is None where nothing
    but its logs is left of it."""

    kind: str
    key: str
    title: str
    job: Job | None = None

    @classmethod
    def of(cls, job: Job) -> Known:
        return cls(job.kind, job.key, job.title, job)


class Lookup:
    """Finds jobs of a plan, and of the store beside it."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        self.store = store

    def find(self, asked: str) -> Known:
        """The one job that is meant. Case, dots, slashes and the number of blanks do not count in a name.

        Raises:
            NoSuchJob: where none is, or several are.
        """
        named = [job for job in self.plan if words(job.title) == words(asked)]
        if len(named) == 1:
            return Known.of(named[0])
        if named:
            raise NoSuchJob(f"several jobs are called {asked}: {', '.join(job.short for job in named)}; give the key of one")
        beginning = asked.strip().lower().removesuffix("…")
        if KEY.fullmatch(beginning):
            return self._keyed(beginning)
        for trial in self._trials:
            if words(trial.title) == words(asked):
                return trial
        raise NoSuchJob(self._unknown(asked))

    def named(self, key: str) -> Known | None:
        """The job of a key; None where nobody knows it."""
        return next(iter(self._beginning_with(key)), None)

    def entry(self, known: Known) -> Entry | None:
        """Its result; None where there is none, or none that is whole."""
        try:
            return self.store.find(known.kind, known.key)
        except CorruptEntry:
            return None

    @cached_property
    def _trials(self) -> list[Known]:
        searches = [(search, trials_so_far(search, self.store)) for search in self.plan.of("search")]
        return [
            self._stored("trial", t.key, f"trial {t.number} of {search.title}") for search, trials in searches for t in trials
        ]

    def _keyed(self, beginning: str) -> Known:
        found = list(self._beginning_with(beginning))
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(f"{known.key[: len(beginning) + 4]}… ({known.title})" for known in found[:NEAREST])
            raise NoSuchJob(f"{len(found)} keys begin with {beginning}: {several}; give more of it")
        raise NoSuchJob(f"no key in the plan or in the store {self.store.location} begins with {beginning}")

    def _beginning_with(self, beginning: str) -> Iterator[Known]:
        """Jobs by their keys; those of the plan first, and each once."""
        told: set[str] = set()
        for key, job in self.plan.jobs.items():
            if key.startswith(beginning):
                told.add(key)
                yield Known.of(job)
        for trial in self._trials:
            if trial.key.startswith(beginning) and trial.key not in told:
                told.add(trial.key)
                yield trial
        for kind in KINDS:
            for place in (kind, f"{LOGS}/{kind}"):
                for key in self.store.backend.folders(place):
                    if key.startswith(beginning) and key not in told:
                        told.add(key)
                        yield self._stored(kind, key, kind)

    def _stored(self, kind: str, key: str, title: str) -> Known:
        """A job by what its manifest says, where it has one."""
        known = Known(kind, key, title)
        if not (entry := self.entry(known)):
            return known
        said = entry.manifest
        job = Job(kind, said["version"], said["config"], said["parents"], said["title"])
        return Known.of(job)

    def _unknown(self, asked: str) -> str:
        titles = [job.title for job in self.plan]
        near = nearest(asked, titles)
        told = f"; near are: {', '.join(near)}" if near else f"; there are: {', '.join(titles[:NEAREST])}"
        more = "" if near or len(titles) <= NEAREST else " …"
        return f"no job is called {asked}{told}{more} (`kd plan` shows all names and keys)"


def words(name: str) -> tuple[str, ...]:
    """A name without what is hard to type: ``ResNet8 · KD/s0`` is resnet8 kd s0."""
    return tuple(word for word in re.split(r"[\s·/]+", name.lower()) if word)


def nearest(asked: str, titles: Sequence[str]) -> list[str]:
    """The first few names that hold all words that were asked for, or else those that are spelt most alike."""
    wanted = words(asked)
    holding = [title for title in titles if wanted and all(word in " ".join(words(title)) for word in wanted)]
    if holding:
        return holding[:NEAREST]
    alike = {" ".join(words(title)): title for title in titles}
    return [alike[name] for name in difflib.get_close_matches(" ".join(wanted), alike, n=NEAREST, cutoff=0.5)]
