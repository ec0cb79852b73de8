"""The store: what is done, named by its key. The only truth of the project.

    <store>/<kind>/<key>/manifest.json        written last, by os.replace: what has no manifest does not exist
    <store>/<kind>/<key>/<attempt>/…          the files that the manifest names, with their SHA-256
    <store>/work/<kind>/<key>/…               checkpoints and progress of what is not done
    <store>/failed/<kind>/<key>.json          why a job failed, until it succeeds
    <store>/quarantine/…                      entries that were found corrupt

Every attempt writes into a folder of its own, so that a worker that was thought dead cannot mix its files with another's.
Only JSON, safetensors and Arrow are written or read; nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestrator import canonical
from orchestrator.environment import environment
from orchestrator.job import Job, key_of

FORMAT = 1
PROGRESS = "progress.json"  # in a job's work folder
LOCK_TRIES, LOCK_PAUSE_S = 3, 0.05  # one that only looks, as `kd status` does, holds a lock for an instant


class StoreError(ValueError):
    """The store's place cannot be used."""


class CorruptEntry(RuntimeError):
    """An entry does not hold what its manifest says."""


@dataclass(frozen=True)
class Entry:
    """A committed result."""

    path: Path
    manifest: dict[str, Any]

    @property
    def results(self) -> dict[str, Any]:
        """Scalars: accuracies, epochs, seconds."""
        return self.manifest["results"]

    def file(self, name: str) -> Path:
        """Path of one of the entry's files."""
        return self.path / self.manifest["attempt"] / name

    def problem(self, *, deep: bool) -> str | None:
        """What is wrong with the entry's files, or None. ``deep`` reads them and compares SHA-256."""
        for name, listed in self.manifest["files"].items():
            path = self.file(name)
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != listed["bytes"]:
                return f"{name} has {path.stat().st_size} bytes, not {listed['bytes']}"
            if deep and sha256(path) != listed["sha256"]:
                return f"{name} does not have its SHA-256"
        return None


class Attempt:
    """One try at a job: a folder to write files into, then :meth:`commit`."""

    def __init__(self, store: Store, job: Job) -> None:
        self.job = job
        self.id = uuid.uuid4().hex[:12]
        self.entry = store.root / job.kind / job.key
        self.path = self.entry / self.id
        self.started = time.time()
        self.path.mkdir(parents=True)

    def commit(self, results: dict[str, Any], seconds: float) -> None:
        """Make the result exist: files to disk, then the manifest in one step."""
        files = {}
        for path in sorted(self.path.iterdir()):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[path.name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
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
        }
        write_json(self.entry / "manifest.json", {**body, "digest": canonical.digest(body)})

    def discard(self) -> None:
        """Forget what was written; nothing is left behind."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.entry.rmdir()


class Store:
    """Entries by kind and key under a folder that every worker can reach."""

    def __init__(self, root: Path | str) -> None:
        if "://" in str(root):
            raise StoreError(f"the store must be a local or shared folder, but got {root}")
        self.root = Path(root).expanduser().absolute()

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            StoreError: where it cannot be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".write-{uuid.uuid4().hex[:8]}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StoreError(f"the store {self.root} cannot be written: {error.strerror}") from error

    def entry(self, kind: str, key: str) -> Entry:
        """A committed entry whose manifest and file sizes are in order.

        Raises:
            KeyError: where there is none.
            CorruptEntry: where it is not what its manifest says.
        """
        path = self.root / kind / key
        try:
            raw = (path / "manifest.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
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
        entry = Entry(path, manifest)
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
        folder = self.root / kind
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            with contextlib.suppress(KeyError, CorruptEntry):
                yield self.entry(kind, path.name)

    def quarantine(self, kind: str, key: str) -> Path:
        """Move a corrupt entry out of the way; its place is where it can be looked at."""
        target = self.root / "quarantine" / f"{kind}-{key}-{uuid.uuid4().hex[:8]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.root / kind / key, target)
        return target

    def work(self, job: Job) -> Path:
        """The folder of a job's checkpoints and progress; it may not exist."""
        return self.root / "work" / job.kind / job.key

    def write_work(self, job: Job, name: str, value: dict[str, Any]) -> None:
        """Keep a small JSON object in the job's work folder, in one step; ``name`` may have folders: ``trials/00012.json``."""
        write_json(self.work(job) / name, value)

    def read_work(self, job: Job, name: str) -> dict[str, Any]:
        """What :meth:`write_work` kept under that name; empty where there is nothing."""
        return read_json(self.work(job) / name)

    def list_work(self, job: Job, folder: str) -> list[str]:
        """Sorted names, ``folder`` included, of what :meth:`write_work` kept in a folder of the job's work."""
        where = self.work(job) / folder
        return sorted(f"{folder}/{path.name}" for path in where.glob("*.json")) if where.is_dir() else []

    def progress(self, job: Job) -> dict[str, Any]:
        """What the job last said of itself; empty where it has not begun (see :mod:`orchestrator.stages.runner`)."""
        return self.read_work(job, PROGRESS)

    def failure(self, job: Job) -> dict[str, Any]:
        """Why the job failed the last time; empty where it did not."""
        return read_json(self.root / "failed" / job.kind / f"{job.key}.json")

    def fail(self, job: Job, failure: dict[str, Any]) -> None:
        """Remember why a job failed."""
        write_json(self.root / "failed" / job.kind / f"{job.key}.json", {"time": time.time(), **failure})

    def forgive(self, job: Job) -> None:
        """Forget why a job failed."""
        (self.root / "failed" / job.kind / f"{job.key}.json").unlink(missing_ok=True)

    def abandon(self, job: Job) -> None:
        """Forget checkpoints and progress of a job that nobody goes on with."""
        shutil.rmtree(self.work(job), ignore_errors=True)

    def clear(self, job: Job) -> None:
        """Forget checkpoints, progress and failure of a job that is done, and files of attempts that came to nothing."""
        shutil.rmtree(self.work(job), ignore_errors=True)
        self.forgive(job)
        entry = self.entry(job.kind, job.key)
        for path in entry.path.iterdir():
            if path.is_dir() and path.name != entry.manifest["attempt"]:
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[bool]:
        """Hold an exclusive lock of that name until the block ends or the process dies; False where another holds it."""
        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            held = any(_try_lock(file) for _ in range(LOCK_TRIES))
            if held:
                os.utime(path)
            yield held

    def locked(self, name: str) -> bool:
        """Whether a living process holds the lock of that name."""
        return self.locked_since(name) is not None

    def locked_since(self, name: str) -> float | None:
        """When the living process that holds the lock of that name took it, Unix time; None where none does."""
        path = self.root / "locks" / f"{name}.lock"
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return path.stat().st_mtime
        return None


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(LOCK_PAUSE_S)
        return False
    return True


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file so that no reader ever sees half of it, and a full disk leaves the old one."""
    write_bytes(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside, to disk, then replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON object; empty where the file is absent or not whole."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
