"""What is seen to before anything is trained: what the store holds, the data, the weights that are given."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from kd_core.data.listing import listing
from kd_core.data.table import DataConfig
from orchestrator.executors.executor import CannotRun
from orchestrator.experiment.spec import Spec, other_data
from orchestrator.jobs.job import Job, JobName
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.plan import Plan
from orchestrator.planning.snapshot import Waits
from orchestrator.store.entry import Entry
from orchestrator.store.errors import CorruptEntry, StoreFailed
from orchestrator.store.images import first_seen
from orchestrator.store.store import Store

QUARANTINES = 10  # of attempts at one job, each corrupt


def changed_images(spec: Spec, store: Store) -> list[str]:
    """Notes of folders of images that hold other files than when the store first used them: in the keys, a folder's name stands
    for its content."""
    notes = []
    for folder in sorted({data.folder for data in _data_of(spec) if data.folder}):
        place = Path(spec.place.root, folder)
        try:
            found, count = listing(place)
        except OSError:
            continue  # where the images are needed, it is said
        known = first_seen(folder, found, count, store)
        if known["listing"] != found:
            then = time.strftime("%Y-%m-%d", time.localtime(known["time"]))
            notes.append(
                f"{place} holds other images than on {then}, when this store first used it (by the names and sizes of its "
                f"files: {known['count']:,} then, {count:,} now). What is done was made with those, what is new is made with "
                "these, and no table tells them apart. Under another name, here and in `data.folder`, all is made anew"
            )
    return notes


def _data_of(spec: Spec) -> list[DataConfig]:
    """Every data set of an experiment, its own first."""
    others = [data for asked in spec.evaluations for data in other_data(asked.config).values()]
    return list(dict.fromkeys((spec.data, *others)))


def verify_entries(plan: Plan, store: Store, waits: Waits = lambda what: None) -> tuple[set[str], list[str]]:
    """The keys of what is done, every byte verified; corrupt entries go to quarantine, with a note each.

    A bank is verified only where a missing student needs it: it may be large, and nothing else reads it.
    """
    done: set[str] = set()
    notes: list[str] = []

    def verify(job: Job) -> None:
        waits(f"verifying every byte of what the store holds ({len(done)} of {len(plan)} jobs are done)")
        found, problems = entry_or_quarantine(job, store, deep=True)
        notes.extend(problems)
        if found:
            done.add(job.key)

    list(store.each(verify, [job for job in plan if KINDS[job.kind].target]))
    list(store.each(verify, [job for job in plan.needed(done) if not KINDS[job.kind].target]))
    return done, notes


def sweep(plan: Plan, store: Store, done: Collection[str]) -> None:
    """Remove what killed runs left of jobs that are done, and their locks."""
    store.forget_dead_locks()
    left = store.leftovers()
    for job in plan:
        if job.key in done and JobName(job.kind, job.key) in left:
            with store.lock_job(job) as held:
                if held:
                    store.clear(job)


def entry_or_quarantine(job: Job, store: Store, *, deep: bool) -> tuple[Entry | None, list[str]]:
    """A job's entry, and notes of what was found corrupt and moved out of its way. ``deep`` reads every file.

    Raises:
        StoreFailed: where it cannot be moved.
    """
    notes: list[str] = []
    for _ in range(QUARANTINES):
        try:
            return store.find(job.kind, job.key, deep=deep), notes
        except CorruptEntry as error:
            where = store.quarantine(job.kind, job.key)
            notes.append(f"corrupt entry of {job.title} ({error}): moved to {where}, computed again")
    raise StoreFailed(f"the corrupt entry {job.kind}/{job.key} of {store.location} cannot be moved out of the way")


def check_data(spec: Spec, store: Store, waits: Waits) -> list[str]:
    """Open the data once, here: what is wrong with it is said before any training, and one process downloads, not many. Notes
    of what the user should know of it."""
    from kd_core.data.load import verify

    place = spec.place
    how: dict[str, Any] = {"download": place.download, "memory_gib": place.memory_gib, "cache": place.cache}
    notes: list[str] = []
    for data in _data_of(spec):
        waits(f"reading the data ({data.name})")
        notes += verify(data, Path(place.root), **how)
    notes += changed_images(spec, store)
    waits("")
    return notes


def check_weights(missing: Iterable[Job], weights_of: Callable[[Job], Path | None]) -> list[str]:
    """Try the given weights of the teachers that are missing on their networks, before anything is trained. Notes of what the
    user should know of them.

    Raises:
        CannotRun: where some do not fit, with all that do not.
    """
    given = [job for job in missing if job.kind == "teacher" and "sha256" in job.config.get("weights", {})]
    if not given:
        return []
    from orchestrator.stages.given_weights import tried

    notes, problems = tried(given, weights_of)
    if problems:
        raise CannotRun("\n".join(problems))
    return notes
