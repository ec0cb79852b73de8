"""Who is at work on an experiment: its one `kd run`, and any number of `kd worker`s. Each holds a lock while it lives."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

from orchestrator.store.backends.backend import Holder
from orchestrator.store.store import Store

_RUN = re.compile(r"run-(?P<name>.+)")
_WORKER = re.compile(r"worker-(?P<name>.+)-[0-9a-f]{12}")


def run_lock(name: str) -> str:
    """The lock that the `kd run` of an experiment of that name holds: there is one at a time."""
    return f"run-{name}"


def worker_lock(name: str) -> str:
    """A lock for one more `kd worker` of an experiment of that name."""
    return f"worker-{name}-{uuid.uuid4().hex[:12]}"


def experiment_of(lock: str) -> str | None:
    """The name of the experiment whose `kd run` or `kd worker` holds a lock; None for a lock of another kind."""
    found = _WORKER.fullmatch(lock) or _RUN.fullmatch(lock)
    return found["name"] if found else None


def run_of(name: str, store: Store) -> Holder | None:
    """The living `kd run` of an experiment; None where none lives."""
    return store.holder(run_lock(name))


def workers_of(name: str, store: Store) -> list[Holder]:
    """The living `kd worker`s of an experiment, the first that began first."""
    return _living(store, _worker_locks(name, store))


def at_work_since(name: str, store: Store) -> float | None:
    """When the first of those began that are at work on an experiment, Unix time; None where nobody is."""
    living = _living(store, [run_lock(name)]) + workers_of(name, store)
    return min((holder.since for holder in living), default=None)


def _worker_locks(name: str, store: Store) -> list[str]:
    return [lock for lock in store.locks() if _WORKER.fullmatch(lock) and experiment_of(lock) == name]


def _living(store: Store, locks: Iterable[str]) -> list[Holder]:
    found = store.each(store.holder, locks)
    return sorted(filter(None, found), key=lambda holder: holder.since)
