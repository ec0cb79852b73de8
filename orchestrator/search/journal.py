"""What the store holds of a search's trials: a document for each in the search's work folder, and once it is done its table."""

from __future__ import annotations

from typing import Any

from orchestrator.jobs.job import Job, JobName
from orchestrator.search.trial import STATES, Trial, shown, trials_of
from orchestrator.store.artifacts import TRIALS
from orchestrator.store.documents import JournalTrial, sound
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store

JOURNAL = "trials"  # a folder of the work folder


def written(search: Job, store: Store, known: dict[str, Trial] | None = None) -> list[Trial]:
    """The trials of a search that is not done, by number, up to the first that is lost: what is behind it is suggested again.

    ``known`` holds by document what has ended and need not be read again; what has ended since is added.
    """
    known = {} if known is None else known
    names = store.list_work(search, JOURNAL)
    found: list[Trial] = []
    unread = [name for name in names if name not in known]
    read = dict(zip(unread, store.each(lambda name: store.read_work(search, name), unread), strict=True))
    for name in names:
        trial = known.get(name) or _trial(read[name])
        if trial is None or trial.number != len(found):
            break
        if trial.ended:
            known[name] = trial
        found.append(trial)
    return found


def _trial(document: dict[str, Any]) -> Trial | None:
    stated = sound(document, JournalTrial)
    return Trial.read(stated) if stated and stated["state"] in STATES else None


def trials_so_far(search: Job, store: Store) -> list[Trial]:
    """The trials of a search, done or not, by number; empty where it has not begun."""
    try:
        if entry := store.find(search.kind, search.key):
            return trials_of(TRIALS.read(entry))
    except CorruptEntry:
        return []
    return written(search, store)


def at_work(search: Job, store: Store) -> list[dict[str, Any]]:
    """What is shown of the trials that are at work, as far as the store knows."""

    def look(trial: Trial) -> list[dict[str, Any]]:
        job = JobName("trial", trial.key)
        return [shown(trial, epochs, store.progress(job))] if store.worker(job) else []

    epochs = search.config["student"]["recipe"]["epochs"]
    running = [trial for trial in written(search, store) if not trial.ended]
    return [each for found in store.each(look, running) for each in found]


def write(search: Job, store: Store, trial: Trial) -> None:
    """Keep what is known of a trial."""
    store.write_work(search, f"{JOURNAL}/{trial.number:05d}.json", trial.plain())
