"""What a store and this machine hold that may be removed: by heaps, each with a word for it.

Nothing that a living process uses is in a heap's reach: what belongs to a job is removed under the job's lock, and heaps that
are about what others need are refused while a run is at work whose experiment is not known.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchestrator.jobs.job import JobName
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.heaps import Heap
from orchestrator.planning.plan import Plan
from orchestrator.planning.presence import experiment_of, run_lock
from orchestrator.planning.state import State, standings
from orchestrator.search.journal import trials_so_far
from orchestrator.store.backends import cache
from orchestrator.store.committed import is_manifest
from orchestrator.store.logs import LOGS
from orchestrator.store.manifest import MANIFEST
from orchestrator.store.store import Store

LOCKS, TUNE, QUARANTINE, PLUGINS = "locks", "tune", "quarantine", "plugins"
ASIDE = ("work", "failed", LOGS)  # where a job is below another folder than its kind's


@dataclass(frozen=True)
class Found:
    """How much there is of a heap: files or, for what is stored by jobs, jobs; and why it cannot be removed now, else empty."""

    heap: Heap
    count: int
    bytes: int
    refused: str = ""


class Garbage:
    """Args: ``plans`` of the experiments whose results are kept; all of them use the store."""

    def __init__(self, plans: Iterable[Plan], store: Store) -> None:
        self.plans = tuple(plans)
        self.store = store
        self.sizes = store.backend.tree("")
        self.holders = store.holders()
        self._parts: dict[Heap, tuple[Callable[[], Mapping[str, int]], Callable[[Iterable[str]], None]]] = {
            Heap.LEFT: (self._left, self._remove_left),
            Heap.QUARANTINE: (lambda: self._below(QUARANTINE), lambda names: store.backend.remove_tree(QUARANTINE)),
            Heap.BANKS: (self._banks, self._remove_jobs),
            Heap.OTHERS: (self._others, self._remove_jobs),
            Heap.CACHE: (self._cache, self._remove_cache),
        }

    def look(self, heap: Heap) -> Found:
        """How much there is of a heap."""
        parts = self._parts[heap][0]()
        return Found(heap, len(parts), sum(parts.values()), self._refused(heap))

    def remove(self, heap: Heap) -> Found:
        """Remove a heap; what was there. Nothing is removed that is refused."""
        look, remove = self._parts[heap]
        parts = look()
        found = Found(heap, len(parts), sum(parts.values()), self._refused(heap))
        if not found.refused:
            remove(parts)
        return found

    def _refused(self, heap: Heap) -> str:
        if heap is Heap.CACHE:
            return "a job is at work on this machine" if cache.in_use() else ""
        if heap not in (Heap.BANKS, Heap.OTHERS):
            return ""
        known = {None, *(plan.name for plan in self.plans)}
        others = [lock for lock in self.holders if experiment_of(lock) not in known]
        return f"a run of {experiment_of(others[0])} is at work ({self.holders[others[0]]})" if others else ""

    @cached_property
    def needed(self) -> frozenset[JobName]:
        """All jobs that the experiments refer to, and the trials of their searches."""
        jobs = {JobName(job.kind, job.key) for plan in self.plans for job in plan}
        searches = {job.key: job for plan in self.plans for job in plan.of("search")}
        trials = {JobName("trial", trial.key) for job in searches.values() for trial in trials_so_far(job, self.store)}
        return frozenset(jobs | trials)

    @cached_property
    def jobs(self) -> dict[JobName, dict[str, int]]:
        """The files of each job that the store holds anything of: of its attempts, its work, its failure and its logs."""
        found: dict[JobName, dict[str, int]] = defaultdict(dict)
        for name, size in self.sizes.items():
            parts = name.split("/")
            if parts[0] in ASIDE:
                parts = parts[1:]
            if len(parts) > 1 and parts[0] in KINDS:
                found[JobName(parts[0], parts[1].removesuffix(".json"))][name] = size
        return found

    def _left(self) -> dict[str, int]:
        found = dict(self.store.backend.partial())
        for job, files in self.jobs.items():
            place = f"{job.kind}/{job.key}/"
            manifests = [name for name in files if name.startswith(place) and is_manifest(name.removeprefix(place))]
            if manifests and not self._at_work(job):
                whole = {name.rpartition("/")[0] + "/" for name in manifests} - set(self._doubled(job, len(manifests)))
                kept = (*whole, f"{LOGS}/")
                found |= {name: size for name, size in files.items() if not name.startswith(kept)}
        names = {name: name.split("/") for name in self.sizes}
        idle = [name for name, parts in names.items() if parts[0] == TUNE and run_lock(parts[1]) not in self.holders]
        locks = [name for name, parts in names.items() if parts[0] == LOCKS and self._lock(name) not in self.holders]
        return found | {name: self.sizes[name] for name in (*idle, *locks)}

    def _doubled(self, job: JobName, attempts: int) -> list[str]:
        """The folders of attempts at a job that are whole, but not the first: two workers did it at once."""
        return [f"{folder}/" for folder in self.store.doubles(job)] if attempts > 1 else []

    def _remove_left(self, names: Iterable[str]) -> None:
        for name in names:
            parts = name.split("/")
            if parts[0] == LOCKS:
                with self.store.backend.lock(self._lock(name), careful=False):  # who lets it go removes its file
                    continue
            if parts[0] in ASIDE:
                parts = parts[1:]
            if parts[0] in KINDS and not parts[-1].startswith("."):
                self._under_lock(JobName(parts[0], parts[1].removesuffix(".json")), self._tidy)
            else:
                self.store.backend.remove(name)

    def _banks(self) -> dict[str, int]:
        passing, wanted = set(), set()
        for plan in self.plans:
            done = [key for key, standing in standings(plan, self.store).items() if standing.state is State.DONE]
            wanted |= {above for job in plan.needed(done) for above in job.ancestors}
            passing |= {job.key for job in plan if not KINDS[job.kind].target}
        return self._whole(job for job in self.jobs if job.key in passing - wanted)

    def _others(self) -> dict[str, int]:
        stated = {sha for plan in self.plans for job in plan for sha in job.config.get("plugins", {}).values()}
        plugins = {name: size for name, size in self._below(PLUGINS).items() if name.split("/")[1] not in stated}
        return self._whole(job for job in self.jobs if job not in self.needed) | plugins

    def _whole(self, jobs: Iterable[JobName]) -> dict[str, int]:
        """All that there is of jobs that nobody is at, by the names of their entries."""
        return {f"{job.kind}/{job.key}": sum(self.jobs[job].values()) for job in jobs if not self._at_work(job)}

    def _remove_jobs(self, names: Iterable[str]) -> None:
        for name in names:
            kind, key, *_ = name.split("/")
            if kind == PLUGINS:
                self.store.backend.remove(name)
            else:
                self._under_lock(JobName(kind, key), self.store.remove)

    def _cache(self) -> dict[str, int]:
        """Without MLflow's mirrors, which are no copies."""
        files = _files(cache.cache())
        return {str(path): path.stat().st_size for path in files if path.relative_to(cache.cache()).parts[0] != "mlflow"}

    def _remove_cache(self, names: Iterable[str]) -> None:
        for folder in {Path(name).relative_to(cache.cache()).parts[0] for name in names}:
            shutil.rmtree(cache.cache() / folder, ignore_errors=True)

    def _tidy(self, job: JobName) -> None:
        self.store.clear(job)
        for folder in self.store.doubles(job):
            self.store.backend.remove(f"{folder}/{MANIFEST}")
            self.store.backend.remove_tree(folder)

    def _under_lock(self, job: JobName, remove: Callable[[JobName], None]) -> None:
        with self.store.lock_job(job) as held:
            if held:
                remove(job)

    def _at_work(self, job: JobName) -> bool:
        return f"job-{job.kind}-{job.key}" in self.holders

    def _below(self, folder: str) -> dict[str, int]:
        return {name: size for name, size in self.sizes.items() if name.startswith(f"{folder}/")}

    @staticmethod
    def _lock(name: str) -> str:
        """The name of the lock that a file is of."""
        return name.removeprefix(f"{LOCKS}/").rpartition(".")[0]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
