"""The store: what is done, named by its key. The only truth of the project.

    <store>/<kind>/<key>/manifest.json        written last, in one step: what has no manifest does not exist
    <store>/<kind>/<key>/<attempt>/…          the files that the manifest names, with their SHA-256
    <store>/work/<kind>/<key>/…               checkpoints and progress of what is not done
    <store>/failed/<kind>/<key>.json          why a job failed, until it succeeds
    <store>/quarantine/…                      entries that were found corrupt

Every attempt writes into a folder of its own, so that a worker that was thought dead cannot mix its files with another's.
Only JSON, safetensors and Arrow are written or read; nothing is unpickled. All of this holds in a folder and in an object
store alike; what they differ in is in :mod:`orchestrator.store.backends`.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job, key_of
from orchestrator.store.backends.backend import CorruptEntry as CorruptEntry
from orchestrator.store.backends.backend import Files, Holder, StoreFailed
from orchestrator.store.backends.backend import StoreError as StoreError
from orchestrator.store.backends.local import Local, json_bytes, json_object, sha256
from orchestrator.store.backends.local import read_json as read_json
from orchestrator.store.backends.local import write_bytes as write_bytes
from orchestrator.store.backends.local import write_json as write_json
from orchestrator.store.backends.uri import files_at
from orchestrator.store.provenance import environment

FORMAT = 1
PROGRESS = "progress.json"  # in a job's work folder
IDENTITY_TRIES = 5

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Entry:
    """A committed result."""

    files: Files
    folder: str
    manifest: dict[str, Any]

    @property
    def results(self) -> dict[str, Any]:
        """Scalars: accuracies, epochs, seconds."""
        return self.manifest["results"]

    def file(self, name: str) -> Path:
        """A local path of one of the entry's files; from an object store it is fetched, once on each machine.

        Raises:
            CorruptEntry: where what was fetched is not what the manifest says.
        """
        return self.files.fetch(f"{self._attempt}/{name}", self.manifest["files"][name]["sha256"])

    def problem(self, *, deep: bool) -> str | None:
        """What is wrong with the entry's files, or None. ``deep`` reads them and compares SHA-256."""
        sizes = self.files.sizes(self._attempt) if self.manifest["files"] else {}
        for name, listed in self.manifest["files"].items():
            if name not in sizes:
                return f"{name} is missing"
            if sizes[name] != listed["bytes"]:
                return f"{name} has {sizes[name]} bytes, not {listed['bytes']}"
            if deep and self.files.sha256(f"{self._attempt}/{name}") != listed["sha256"]:
                return f"{name} does not have its SHA-256"
        return None

    @property
    def _attempt(self) -> str:
        return f"{self.folder}/{self.manifest['attempt']}"


class Attempt:
    """One try at a job: a local folder to write files into, then :meth:`commit`."""

    def __init__(self, store: Store, job: Job) -> None:
        self.store = store
        self.job = job
        self.id = uuid.uuid4().hex[:12]
        self.folder = f"{job.kind}/{job.key}/{self.id}"
        self.started = time.time()
        self.path = store.files.begin(self.folder)

    def commit(self, results: dict[str, Any], seconds: float, resources: Mapping[str, Any] | None = None) -> None:
        """Make the result exist: first the files, durably, then the manifest in one step. ``resources``: the share it took."""
        written = sorted(self.path.iterdir())
        sums = {path.name: sha256(path) for path in written}
        files = {path.name: {"sha256": sums[path.name], "bytes": path.stat().st_size} for path in written}
        self.store.files.keep(self.path, self.folder, sums)
        body = {
            "format": FORMAT,
            "kind": self.job.kind,
            "version": self.job.version,
            "key": self.job.key,
            "title": self.job.title,
            "config": self.job.config,
            "parents": self.job.parents,
            "attempt": self.id,
            "files": files,
            "results": results,
            "environment": environment(),
            "started": self.started,
            "finished": time.time(),
            "seconds": seconds,
            "resources": dict(resources or {}),
        }
        manifest = json_bytes({**body, "digest": canonical.digest(body)})
        self.store.files.write(manifest_of(self.job.kind, self.job.key), manifest)

    def discard(self) -> None:
        """Forget what was written; nothing is left behind. A result whose manifest is there, whatever was reported, stays."""
        with contextlib.suppress(OSError):
            if self.store.read_json(manifest_of(self.job.kind, self.job.key)).get("attempt") == self.id:
                return
        self.store.files.drop(self.path, self.folder)


class Work:
    """The folder of a job's work: a keeper of its checkpoints (:class:`kd_core.training.checkpoint_files.Keeper`)."""

    def __init__(self, files: Files, folder: str) -> None:
        self.files = files
        self.folder = folder

    def names(self) -> list[str]:
        return list(self.files.sizes(self.folder))

    def read(self, name: str, size: int | None = None) -> bytes:
        return self.files.read(f"{self.folder}/{name}", size)

    def write(self, name: str, content: bytes) -> None:
        """In one step; a checkpoint that a power cut tore is known by its name, so none waits for the disk."""
        self.files.write(f"{self.folder}/{name}", content, durable=False)

    def remove(self, name: str) -> None:
        self.files.remove(f"{self.folder}/{name}")


@dataclass(frozen=True)
class Scratch:
    """A folder of the store for what others keep there by themselves, as Ray Tune does; all nodes reach it."""

    files: Files
    folder: str

    @property
    def path(self) -> str:
        """As :attr:`filesystem` takes it."""
        return self.files.outside(self.folder)[0]

    @property
    def filesystem(self) -> Any:
        """Of pyarrow; None where the path is one of this machine. Pickled, it holds no credentials."""
        return self.files.outside(self.folder)[1]

    def clear(self) -> None:
        """Remove it; a store that fails is let be, since nothing in it is needed."""
        with contextlib.suppress(OSError):
            self.files.remove_tree(self.folder)


class Store:
    """Entries by kind and key, at a place that every worker can reach: a path, or a URI such as ``s3://bucket/prefix``.

    Raises:
        StoreError: where no store can be at that place.
    """

    def __init__(self, place: Path | str) -> None:
        self.files = files_at(place)

    @property
    def place(self) -> str:
        """An absolute path or a URI, without any secret."""
        return self.files.place

    @property
    def root(self) -> Path | None:
        """The folder, where the store is one."""
        return self.files.root if isinstance(self.files, Local) else None

    def prepare(self) -> None:
        """Make the place ready.

        Raises:
            StoreError: where it cannot be made or written.
        """
        self.files.prepare()

    def entry(self, kind: str, key: str) -> Entry:
        """A committed entry whose manifest and file sizes are in order.

        Raises:
            KeyError: where there is none.
            CorruptEntry: where it is not what its manifest says.
        """
        try:
            raw = self.files.read(manifest_of(kind, key))
        except FileNotFoundError:
            raise KeyError(f"{kind}/{key}") from None
        try:
            manifest = json.loads(raw)
            stated = manifest.pop("digest")
            sound = stated == canonical.digest(manifest)
            named = key == key_of(manifest["kind"], manifest["version"], manifest["config"], manifest["parents"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptEntry(f"{kind}/{key}: the manifest cannot be read ({error})") from None
        if not (sound and named):
            raise CorruptEntry(f"{kind}/{key}: the manifest was changed after it was written")
        entry = Entry(self.files, f"{kind}/{key}", manifest)
        if problem := entry.problem(deep=False):
            raise CorruptEntry(f"{kind}/{key}: {problem}")
        return entry

    def find(self, kind: str, key: str, *, deep: bool = False) -> Entry | None:
        """The entry, or None where there is none. ``deep`` reads every file.

        Raises:
            CorruptEntry: where it is not what its manifest says.
        """
        try:
            entry = self.entry(kind, key)
        except KeyError:
            return None
        if deep and (problem := entry.problem(deep=True)):
            raise CorruptEntry(f"{kind}/{key}: {problem}")
        return entry

    def entries(self, kind: str) -> Iterator[Entry]:
        """All sound entries of a kind, in the order of their keys."""

        def sound(key: str) -> Entry | None:
            with contextlib.suppress(KeyError, CorruptEntry):
                return self.entry(kind, key)
            return None

        yield from filter(None, self.each(sound, self.files.folders(kind)))

    def each(self, look: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """What ``look`` finds of each item, in their order; many at once where the store is far away."""
        if self.files.many == 1:
            yield from map(look, items)
            return
        with ThreadPoolExecutor(self.files.many, "kd-store") as pool:
            yield from pool.map(look, items)

    def quarantine(self, kind: str, key: str) -> str:
        """Move a corrupt entry out of the way; the place where it can be looked at."""
        target = f"quarantine/{kind}-{key}-{uuid.uuid4().hex[:8]}"
        self.files.move(f"{kind}/{key}", target)
        return f"{self.place.partition('?')[0]}/{target}"

    def work(self, job: Job) -> Work:
        """The folder of a job's checkpoints and progress; it may not exist."""
        return Work(self.files, f"work/{job.kind}/{job.key}")

    def write_work(self, job: Job, name: str, value: dict[str, Any]) -> None:
        """Keep a small JSON object in the job's work folder, in one step; ``name`` may have folders: ``trials/00012.json``."""
        self.files.write(f"{self.work(job).folder}/{name}", json_bytes(value))

    def read_work(self, job: Job, name: str) -> dict[str, Any]:
        """What :meth:`write_work` kept under that name; empty where there is nothing."""
        return self.read_json(f"{self.work(job).folder}/{name}")

    def list_work(self, job: Job, folder: str) -> list[str]:
        """Sorted names, ``folder`` included, of what :meth:`write_work` kept in a folder of the job's work."""
        names = self.files.sizes(f"{self.work(job).folder}/{folder}")
        return sorted(f"{folder}/{name}" for name in names if name.endswith(".json"))

    def progress(self, job: Job) -> dict[str, Any]:
        """What the job last said of itself; empty where it has not begun (see :mod:`orchestrator.stages.runner`)."""
        return self.read_work(job, PROGRESS)

    def failure(self, job: Job) -> dict[str, Any]:
        """Why the job failed the last time; empty where it did not."""
        return self.read_json(_failed(job))

    def fail(self, job: Job, failure: dict[str, Any]) -> None:
        """Remember why a job failed."""
        self.files.write(_failed(job), json_bytes({"time": time.time(), **failure}))

    def forgive(self, job: Job) -> None:
        """Forget why a job failed."""
        self.files.remove(_failed(job))

    def abandon(self, job: Job) -> None:
        """Forget checkpoints and progress of a job that nobody goes on with."""
        self.files.remove_tree(self.work(job).folder)

    def clear(self, job: Job) -> None:
        """Forget checkpoints, progress and failure of a job that is done, and files of attempts that came to nothing."""
        self.abandon(job)
        self.forgive(job)
        entry = self.entry(job.kind, job.key)
        for attempt in self.files.folders(entry.folder):
            if attempt != entry.manifest["attempt"]:
                self.files.remove_tree(f"{entry.folder}/{attempt}")

    def scratch(self, folder: str) -> Scratch:
        """A folder that is not looked into."""
        return Scratch(self.files, folder)

    def identity(self) -> str:
        """Names the store, wherever it is moved or copied to; made at the first call, under the lock of who asks first."""
        for _ in range(IDENTITY_TRIES):
            with contextlib.suppress(FileNotFoundError):
                return self.files.read("identity").decode()
            with self.lock("identity") as held:
                if held and "identity" not in self.files.sizes(""):
                    self.files.write("identity", uuid.uuid4().hex[:12].encode())
        raise StoreFailed(f"the store {self.place} does not get its identity: another process holds the lock")

    def lock(self, name: str) -> AbstractContextManager[bool]:
        """Hold an exclusive lock of that name until the block ends or the process dies; False where another holds it.

        In an object store it is a lease, with a small race: see :mod:`orchestrator.store.backends.lease`.
        """
        return self.files.lock(name)

    def holder(self, name: str) -> Holder | None:
        """The living process that holds the lock of that name."""
        return self.files.holder(name)

    def locked(self, name: str) -> bool:
        """Whether a living process holds the lock of that name."""
        return self.holder(name) is not None

    def locked_since(self, name: str) -> float | None:
        """When the living process that holds the lock of that name took it, Unix time; None where none does."""
        holder = self.holder(name)
        return holder.since if holder else None

    def read_json(self, name: str) -> dict[str, Any]:
        """A small JSON object; empty where there is none, or it is not whole."""
        try:
            return json_object(self.files.read(name))
        except FileNotFoundError:
            return {}


def manifest_of(kind: str, key: str) -> str:
    """The name of an entry's manifest."""
    return f"{kind}/{key}/manifest.json"


def _failed(job: Job) -> str:
    return f"failed/{job.kind}/{job.key}.json"
