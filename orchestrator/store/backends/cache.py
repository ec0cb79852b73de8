"""What this machine keeps of stores that are far away: a folder that may be removed whenever nothing runs.

<cache>/<2 hex digits>/<SHA-256>/<name>    files of entries, each fetched once and then memory-mapped by every process
<cache>/attempts/<id>/                     what a job here is writing; those of dead processes are swept by the next one
<cache>/mlflow/<id>/                       MLflow's mirror, where the experiment names no other place for it
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from orchestrator.store.errors import CorruptEntry
from orchestrator.store.files import sha256 as sha256_of

_at_work: dict[Path, IO[str]] = {}  # folders that this process fills, and the locks that say so


def cache() -> Path:
    """The folder: ``KD_CACHE``, or the user's cache directory, or where that cannot be written the temporary one."""
    if named := os.environ.get("KD_CACHE"):
        return Path(named).expanduser().absolute()
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "kd"
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    return Path(tempfile.gettempdir()) / f"kd-{os.getuid()}"


def fetched(name: str, sha256: str, download: Callable[[Path], None]) -> Path:
    """The path of a file with that SHA-256; ``download`` writes it where it is not here yet, once for all processes.

    Raises:
        CorruptEntry: where what was downloaded is something else.
    """
    path = _place(name, sha256)
    if _sound(path, sha256):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be fetching it
        if not _sound(path, sha256):
            beside = path.with_name(f".{name}.{uuid.uuid4().hex[:8]}")
            try:
                download(beside)
                if sha256_of(beside) != sha256:
                    raise CorruptEntry(f"{name} does not have its SHA-256")
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)
    return path


def adopt(path: Path, sha256: str) -> None:
    """Keep a file that was made here, so that it need not be fetched; it is moved, or where that fails left."""
    place = _place(path.name, sha256)
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)


def begin() -> Path:
    """A new folder for what this process will write; what dead processes left is removed."""
    attempts = cache() / "attempts"
    attempts.mkdir(parents=True, exist_ok=True)
    for lock in attempts.glob("*.lock"):
        with contextlib.suppress(OSError), lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
    path = attempts / uuid.uuid4().hex[:12]
    held = path.with_suffix(".lock").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    path.mkdir()
    _at_work[path] = held
    return path


def in_use() -> bool:
    """Whether a job on this machine writes what will go to a store that is far away, or reads what came from one."""
    for lock in (cache() / "attempts").glob("*.lock"):
        with contextlib.suppress(OSError), lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def end(path: Path) -> None:
    """Remove a folder that :func:`begin` gave."""
    shutil.rmtree(path, ignore_errors=True)
    if held := _at_work.pop(path, None):
        path.with_suffix(".lock").unlink(missing_ok=True)
        held.close()


def _place(name: str, sha256: str) -> Path:
    return cache() / sha256[:2] / sha256 / name


def _sound(path: Path, sha256: str) -> bool:
    """Whether the file is there with its SHA-256; each process reads it once for as long as it stays as it is."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return _same(path, sha256, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _same(path: Path, sha256: str, *_version: int) -> bool:
    return sha256_of(path) == sha256
