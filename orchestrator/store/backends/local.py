"""Files in a folder, local or shared."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from orchestrator.store.backends.backend import Holder
from orchestrator.store.errors import StoreError, StoreFailed
from orchestrator.store.files import BESIDE, close, in_made_folder, opened, read_bytes, read_json, sha256, write_bytes

PARTIAL_S = 3600.0  # since when nobody has written to a file that was begun
GONE = (errno.ENOENT, errno.ESTALE)  # the latter on a network's file system, where another machine removed what was open
LOCK_TRIES, LOCK_PAUSE_S = 3, 0.05  # one that only looks, as `kd status` does, holds a lock for an instant


class Local:
    """See :class:`orchestrator.store.backends.backend.Backend`. Locks are the kernel's: they end with their process."""

    many = 1
    pause_s = 0.0

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.location = str(self.root)

    def prepare(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".write-{uuid.uuid4().hex[:8]}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StoreError(f"the store {self.root} cannot be written: {error.strerror}") from error

    def read(self, name: str, size: int | None = None) -> bytes:
        try:
            return read_bytes(self.root / name, size)
        except NotADirectoryError as error:
            raise FileNotFoundError(*error.args) from None

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        with self._failing():
            write_bytes(self.root / name, content, durable=durable)

    def sizes(self, folder: str) -> dict[str, int]:
        found = {}
        for path in self._in(folder):
            with contextlib.suppress(FileNotFoundError):  # removed just now
                if path.is_file():
                    found[path.name] = path.stat().st_size
        return found

    def tree(self, folder: str) -> dict[str, int]:
        top = str(self.root / folder)
        if os.path.isfile(top):
            return {"": os.path.getsize(top)}
        return dict(_files(top, len(top) + 1))

    def folders(self, folder: str) -> list[str]:
        return [path.name for path in self._in(folder) if path.is_dir()]

    def sha256(self, name: str) -> str:
        return sha256(self.root / name)

    def fetch(self, name: str, sha256: str) -> Path:
        return self.root / name

    def begin(self, folder: str) -> Path:
        path = self.root / folder
        with self._failing():
            in_made_folder(path.parent, path.mkdir)
        return path

    def keep(self, path: Path, folder: str, files: dict[str, str]) -> None:
        for name in files:
            with self._failing(), (path / name).open("rb") as file:
                os.fsync(file.fileno())

    def drop(self, path: Path, folder: str) -> None:
        shutil.rmtree(path, ignore_errors=True)
        self._prune(path)

    def remove(self, name: str) -> None:
        with self._failing():
            (self.root / name).unlink(missing_ok=True)
        self._prune(self.root / name)

    def remove_tree(self, folder: str) -> None:
        shutil.rmtree(self.root / folder, ignore_errors=True)
        self._prune(self.root / folder)

    def move(self, folder: str, to: str) -> None:
        source = self.root / folder
        for above in source.parents:
            if above.is_symlink() and above.parent.parent == self.root:
                source = above
        if not os.path.lexists(source):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source))
        target = self.root / to
        with self._failing():
            in_made_folder(target.parent, lambda: os.replace(source, target))
        self._prune(source)

    def partial(self) -> dict[str, int]:
        found = {}
        for path, _, names in os.walk(self.root):
            for name in filter(BESIDE.match, names):
                with contextlib.suppress(FileNotFoundError):
                    stat = os.stat(f"{path}/{name}")
                    if time.time() - stat.st_mtime > PARTIAL_S:
                        found[f"{path}/{name}"[len(str(self.root)) + 1 :]] = stat.st_size
        return found

    @contextlib.contextmanager
    def lock(self, name: str, *, careful: bool = True) -> Iterator[bool]:
        path = self._lock(name)
        with contextlib.ExitStack() as stack:
            with self._failing():
                file = next(filter(None, (_locked(path) for _ in range(LOCK_TRIES))), None)
                if file:
                    stack.callback(close, file)
                    file.truncate(0)
                    json.dump({"since": time.time(), "host": socket.gethostname(), "pid": os.getpid()}, file)
                    file.flush()
            try:
                yield file is not None
            finally:
                if file:
                    with contextlib.suppress(OSError):
                        path.unlink()  # while it is held: who opened it before finds another in its place, or none
                        self._prune(path)

    def holder(self, name: str) -> Holder | None:
        path = self._lock(name)
        try:
            with opened(path) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    content = read_json(path)
                    return Holder(**content) if content else Holder(os.fstat(file.fileno()).st_mtime)
        except OSError as error:
            if error.errno not in GONE:
                raise
        return None

    def look_again(self, folder: str) -> None:
        """NFS answers of folders as they were half a minute ago; whoever sets their times is told how they are."""
        place = Path(folder)
        for path in (*reversed(place.parents), place):
            with contextlib.suppress(OSError):
                os.utime(self.root / path)

    def outside(self, folder: str) -> tuple[str, Any]:
        return str(self.root / folder), None

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Say in a sentence what keeps the block from writing; a file that is not there is for who asked."""
        try:
            yield
        except (FileNotFoundError, StoreFailed):
            raise
        except OSError as error:
            raise StoreFailed(f"the store {self.root} cannot be written: {error.strerror or error}") from error

    def _in(self, folder: str) -> list[Path]:
        """What is directly in a folder, sorted, without what is being written."""
        try:
            return sorted(path for path in (self.root / folder).iterdir() if not path.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _prune(self, path: Path) -> None:
        """Remove the folders above what was removed that are empty now."""
        with contextlib.suppress(OSError):
            for above in path.parents:
                if above == self.root:
                    return
                above.rmdir()

    def _lock(self, name: str) -> Path:
        return self.root / "locks" / f"{name}.lock"


def _files(folder: str, skipped: int) -> Iterator[tuple[str, int]]:
    """Name, without its first characters, and bytes of every file in a folder, however deep."""
    try:
        found = list(os.scandir(folder))
    except OSError:  # it is not there, or no folder
        return
    for each in found:
        with contextlib.suppress(FileNotFoundError):  # removed just now
            if each.is_dir(follow_symlinks=False):
                yield from _files(each.path, skipped)
            elif not each.name.startswith(".") and not each.is_dir():
                yield each.path[skipped:], each.stat().st_size


def _locked(path: Path) -> IO[str] | None:
    """The file of a lock, locked; None where another process holds it, or removed it just now."""
    with contextlib.ExitStack() as stack:
        try:
            file = in_made_folder(path.parent, lambda: path.open("a"))
            stack.callback(close, file)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # opened once more: what stat says of a path may be seconds old on a network's file system
            with opened(path) as again:
                same = os.path.sameopenfile(file.fileno(), again.fileno())
            if same:
                stack.pop_all()
                return file
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno not in GONE:
                raise
    time.sleep(LOCK_PAUSE_S)
    return None
