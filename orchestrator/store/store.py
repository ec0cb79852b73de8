"""The store: what is done, named by its key. The only truth of the project.

    <store>/<kind>/<key>/<attempt>/manifest.json    written last, in one step: what has no manifest does not exist
    <store>/<kind>/<key>/<attempt>/…                the files that the manifest names, with their SHA-256
    <store>/work/<kind>/<key>/…                     checkpoints and progress of what is not done
    <store>/failed/<kind>/<key>.json                why a job failed, until it succeeds
    <store>/logs/<kind>/<key>/<time>-<attempt>.log  what was said and went wrong, of failed attempts too
    <store>/quarantine/…                            attempts that were found corrupt
    <store>/locks/…                                 who is at work, on what

Every attempt writes into a folder of its own, and nothing in it is ever written again. So however many workers do the same job
at once, each leaves a whole result or none, and the one that finished first is the job's. The lock of a job
(:meth:`Store.lock_job`) keeps them from doing it twice; no result depends on it.
Only JSON, safetensors and Arrow are written or read; nothing is unpickled. All of this holds in a folder and in an object
store alike; what they differ in is in :mod:`orchestrator.store.backends`.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.jobs.job import Job, JobName, Named
from orchestrator.store.attempt import Attempt
from orchestrator.store.backends.backend import Holder
from orchestrator.store.backends.local import Local
from orchestrator.store.backends.opening import backend_at
from orchestrator.store.committed import committed, is_manifest
from orchestrator.store.documents import Failure, Progress, sound
from orchestrator.store.entry import Entry
from orchestrator.store.errors import CorruptEntry, StoreFailed
from orchestrator.store.files import json_bytes, json_object
from orchestrator.store.logs import Kept, Log, log_folder, names, read
from orchestrator.store.manifest import MANIFEST
from orchestrator.store.work import Scratch, Work

PROGRESS = "progress.json"  # in a job's work folder
LOCK_AGAIN_S = 0.5  # between two tries at a lock that is waited for
IDENTITY, IDENTITY_TRIES = re.compile(rb"[0-9a-f]{12}"), 5

T = TypeVar("T")
R = TypeVar("R")


class Store:
    """Entries by kind and key, at a place that every worker can reach: a path, or a URI such as ``s3://bucket/prefix``.

    Raises:
        StoreError: where no store can be at that place.
    """

    def __init__(self, location: Path | str) -> None:
        self.backend = backend_at(location)

    @property
    def location(self) -> str:
        """An absolute path or a URI, without any secret."""
        return self.backend.location

    @property
    def root(self) -> Path | None:
        """The folder, where the store is one."""
        return self.backend.root if isinstance(self.backend, Local) else None

    def prepare(self) -> None:
        """Make the place ready.

        Raises:
            StoreError: where it cannot be made or written.
        """
        self.backend.prepare()

    def begin(self, job: Job) -> Attempt:
        """A new try at a job."""
        return Attempt(self.backend, job)

    def entry(self, kind: str, key: str) -> Entry:
        """A committed entry whose manifest and file sizes are in order.

        Raises:
            KeyError: where there is none.
            CorruptEntry: where it is not what its manifest says.
        """
        if entry := self.find(kind, key):
            return entry
        raise KeyError(f"{kind}/{key}")

    def find(self, kind: str, key: str, *, deep: bool = False) -> Entry | None:
        """The entry, or None where there is none. ``deep`` reads every file.

        Raises:
            CorruptEntry: where it is not what its manifest says.
        """
        found = committed(self.backend, kind, key)
        for each in found:
            if each.entry and not each.problem:
                if deep and (problem := each.problem_in_depth()):  # who looks less deeply would take this one
                    raise CorruptEntry(f"{kind}/{key}: {problem}")
                return each.entry
        if found:
            raise CorruptEntry(f"{kind}/{key}: {found[0].problem}")
        return None

    def entries(self, kind: str, *, but: Container[str] = (), most: int | None = None) -> Iterator[Entry]:
        """All sound entries of a kind, in the order of their keys: without those keys, and of so many of the others."""

        def sound(key: str) -> Entry | None:
            with contextlib.suppress(KeyError, CorruptEntry):
                return self.entry(kind, key)
            return None

        keys = [key for key in self.backend.folders(kind) if key not in but]
        yield from filter(None, self.each(sound, keys[:most]))

    def each(self, read: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """What ``read`` gives of each item, in their order; many at once where the store is far away."""
        if self.backend.many == 1:
            yield from map(read, items)
            return
        with ThreadPoolExecutor(self.backend.many, "kd-store") as pool:
            yield from pool.map(read, items)

    def quarantine(self, kind: str, key: str) -> str:
        """Move what is corrupt of an entry out of the way, to the place that is returned, where it can be looked at. What is
        whole, and what has no manifest yet, stays."""
        place, target = f"{kind}/{key}", f"quarantine/{kind}-{key}-{uuid.uuid4().hex[:8]}"
        for each in committed(self.backend, kind, key):
            if each.problem_in_depth():
                with contextlib.suppress(FileNotFoundError):  # another process was faster
                    self.backend.move(each.folder, target + each.folder.removeprefix(place))
        return f"{self.location.partition('?')[0]}/{target}"

    def work(self, job: Named) -> Work:
        """The folder of a job's checkpoints and progress; it may not exist."""
        return Work(self.backend, f"work/{job.kind}/{job.key}")

    def write_work(self, job: Named, name: str, value: dict[str, object], *, durable: bool = True) -> None:
        """Keep a small JSON object in the job's work folder, in one step; ``name`` may have folders: ``trials/00012.json``. Not
        ``durable``: a power cut may leave none."""
        self.backend.write(f"{self.work(job).folder}/{name}", json_bytes(value), durable=durable)

    def read_work(self, job: Named, name: str) -> dict[str, Any]:
        """What :meth:`write_work` kept under that name; empty where there is nothing."""
        return self.read_json(f"{self.work(job).folder}/{name}")

    def list_work(self, job: Named, folder: str) -> list[str]:
        """Sorted names, ``folder`` included, of what :meth:`write_work` kept in a folder of the job's work."""
        names = self.backend.sizes(f"{self.work(job).folder}/{folder}")
        return sorted(f"{folder}/{name}" for name in names if name.endswith(".json"))

    def progress(self, job: Named) -> dict[str, Any]:
        """What the job last said of itself; empty where it has not begun (see :mod:`orchestrator.stages.runner`)."""
        return sound(self.read_work(job, PROGRESS), Progress)

    def failure(self, job: Named) -> dict[str, Any]:
        """Why the job failed the last time; empty where it did not. The reason is fit to be shown."""
        return sound(self.read_json(_failed(job)), Failure)

    def fail(self, job: Job, failure: dict[str, object]) -> None:
        """Remember why a job failed."""
        self.backend.write(_failed(job), json_bytes({"time": time.time(), **failure}))

    def forget_failure(self, job: Named) -> None:
        """Forget why a job failed."""
        self.backend.remove(_failed(job))

    def log(self, attempt: Attempt) -> Log:
        """The log of a new attempt."""
        return Log(self.backend, log_folder(attempt.job.kind, attempt.job.key), attempt.id)

    def logs(self, job: Named) -> list[Kept]:
        """The logs of a job's attempts, the oldest first."""
        found = [read(self.backend, name) for name in names(self.backend, log_folder(job.kind, job.key))]
        return [log for log in found if log]

    def discard_work(self, job: Named) -> None:
        """Forget checkpoints and progress of a job that nobody goes on with."""
        self.backend.remove_tree(self.work(job).folder)

    def clear(self, job: Named) -> None:
        """Forget checkpoints, progress and failure of a job that is done, and files of attempts that came to nothing.

        Another worker of the same job may be at work, though it must have lost the job's lock to be. It looks, once it has
        written its manifest, whether its files are still there. So a result can be swept only by who has written its own
        manifest before, and of all that ever were written the first stays.
        """
        place = f"{job.kind}/{job.key}"
        attempts = self.backend.folders(place)
        manifests = {name for name in self.backend.tree(place) if is_manifest(name)}  # as they are now, and not before
        for attempt in attempts if MANIFEST not in manifests else ():
            if f"{attempt}/{MANIFEST}" not in manifests:
                self.backend.remove_tree(f"{place}/{attempt}")
        self.forget_failure(job)
        self.discard_work(job)  # last: where a kill leaves anything of the job, this is left too

    def doubles(self, job: Named) -> list[str]:
        """The folders of whole attempts at a job that do not count, since another one finished before."""
        whole = [each.folder for each in committed(self.backend, job.kind, job.key) if not each.problem]
        return whole[1:]

    def remove(self, job: Named) -> None:
        """Remove all that there is of a job. A kill in the middle leaves what is no entry any more."""
        place = f"{job.kind}/{job.key}"
        for name in sorted(self.backend.tree(place), key=lambda name: not is_manifest(name)):
            self.backend.remove(f"{place}/{name}")
        self.backend.remove_tree(place)
        self.backend.remove_tree(log_folder(job.kind, job.key))
        self.forget_failure(job)
        self.discard_work(job)

    def leftovers(self) -> set[JobName]:
        """All jobs that have checkpoints, progress or a failure, by two listings."""
        names = [name.split("/") for folder in ("work", "failed") for name in self.backend.tree(folder)]
        return {JobName(kind, name.removesuffix(".json")) for kind, name, *_ in names}

    def scratch(self, folder: str) -> Scratch:
        """A folder that is not looked into."""
        return Scratch(self.backend, folder)

    def identity(self) -> str:
        """Names the store, wherever it is moved or copied to; made at the first call, under the lock of who asks first.

        Raises:
            StoreFailed: where another process holds its lock for too long, or what was made was damaged since.
        """
        for _ in range(IDENTITY_TRIES):
            with contextlib.suppress(FileNotFoundError):
                found = self.backend.read("identity")
                if not IDENTITY.fullmatch(found):
                    raise StoreFailed(
                        f"the file `identity` of the store {self.location} was damaged: write into it what the tag kd.store of "
                        "its runs in MLflow says, or remove it, and the runs are written there once more"
                    )
                return found.decode()
            with self.lock("identity") as held:
                if held and "identity" not in self.backend.sizes(""):
                    self.backend.write("identity", uuid.uuid4().hex[:12].encode())
        raise StoreFailed(f"the store {self.location} does not get its identity: another process holds the lock")

    def lock(self, name: str) -> AbstractContextManager[bool]:
        """Hold an exclusive lock of that name until the block ends or the process dies; False where another holds it.

        In an object store it is a lease, with a small race: see :mod:`orchestrator.store.backends.lease`.
        """
        return self.backend.lock(name)

    @contextlib.contextmanager
    def awaited(self, name: str) -> Iterator[None]:
        """Hold the lock of that name while the block runs, once who holds it has let it go."""
        while True:
            with self.lock(name) as held:
                if held:
                    yield
                    return
            time.sleep(LOCK_AGAIN_S)

    @contextlib.contextmanager
    def lock_job(self, job: Named) -> Iterator[bool]:
        """Hold the lock of who works on a job; False where another does. It saves work: no result depends on it. Who has got it
        sees what who had it before has left."""
        with self.backend.lock(_lock_of(job), careful=False) as held:
            if held:
                self.backend.look_again(f"{job.kind}/{job.key}")
            yield held

    def worker(self, job: Named) -> Holder | None:
        """The living process that works on a job."""
        return self.holder(_lock_of(job))

    def holder(self, name: str) -> Holder | None:
        """The living process that holds the lock of that name."""
        return self.backend.holder(name)

    def locks(self) -> list[str]:
        """The names of all locks, also of those that nobody holds any more."""
        return [name.rpartition(".")[0] for name in self.backend.sizes("locks")]

    def forget_dead_locks(self) -> None:
        """Remove the locks of processes that were killed, which nobody may ask for by name again."""

        def forget(name: str) -> None:
            if not self.holder(name):
                with self.backend.lock(name, careful=False):  # who lets it go removes its file
                    pass

        list(self.each(forget, self.locks()))

    def holders(self) -> dict[str, Holder]:
        """The living processes that hold locks, by the locks' names."""
        names = self.locks()
        found = zip(names, self.each(self.holder, names), strict=True)
        return {name: holder for name, holder in found if holder}

    def read_json(self, name: str) -> dict[str, Any]:
        """A small JSON object; empty where there is none, or it is not whole."""
        try:
            return json_object(self.backend.read(name))
        except FileNotFoundError:
            return {}


def _failed(job: Named) -> str:
    return f"failed/{job.kind}/{job.key}.json"


def _lock_of(job: Named) -> str:
    return f"job-{job.kind}-{job.key}"
