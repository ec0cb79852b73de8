"""Files in an object store, through pyarrow's file systems.

An object is written in one step, and listings are consistent: both hold for S3, Google Cloud Storage and Azure. Moving is
copying and deleting. pyarrow leaves empty objects where folders were; they are no files and do no harm.
"""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import Any

from pyarrow import fs

from orchestrator.store.backends import cache
from orchestrator.store.backends.backend import Holder
from orchestrator.store.backends.connection import FIRST, PATIENT, bucket_of, connect, endpoint_of
from orchestrator.store.backends.lease import holder, lease
from orchestrator.store.errors import StoreError, StoreFailed, StoreUnreachable

CHUNK = 8 * 2**20  # bytes
AWAY = "NETWORK_CONNECTION"  # pyarrow's code
READS = 10  # of an object that others replace meanwhile
AWAY_S = 2.0  # how long a place that did not answer is not asked again


class Remote:
    """See :class:`orchestrator.store.backends.backend.Backend`. The first request is impatient: what is wrong is said within
    seconds. Once the place has answered, later requests are tried again for a minute or two."""

    many = 16
    pause_s = 5.0

    def __init__(self, uri: str) -> None:
        self.location = uri
        self._connecting = threading.Lock()
        self._connected: tuple[fs.FileSystem, str] | None = None
        self._away, self._away_until = "", 0.0

    def prepare(self) -> None:
        probe = ".write"
        try:
            self.write(probe, b"")
            self.remove(probe)
        except StoreUnreachable:
            raise
        except StoreFailed as error:
            raise StoreError(f"{error}; it must be possible to write and delete there") from None

    def read(self, name: str, size: int | None = None) -> bytes:
        """pyarrow asks for an object's size first, and then for so many bytes. What is replaced in between comes cut off, and
        what is deleted as an error of any kind: so the size is looked at once more."""
        with self._at(name) as (files, path):
            for _ in range(READS):
                content, failure = _content(files, path, size)
                if content is not None and size is not None:
                    return content
                found = files.get_file_info(path)
                if found.type == fs.FileType.NotFound:
                    raise FileNotFoundError(errno.ENOENT, "deleted while it was read", name)
                if content is not None and len(content) == found.size:
                    return content
            raise failure or StoreFailed(f"{name} in {self.location} is replaced faster than it can be read")

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        with self._at(name) as (files, path), files.open_output_stream(path) as sink:
            sink.write(content)

    def sizes(self, folder: str) -> dict[str, int]:
        return {info.base_name: info.size for info in self._list(folder) if info.is_file and info.base_name}

    def tree(self, folder: str) -> dict[str, int]:
        top = self._path(folder).rstrip("/")
        return {info.path[len(top) + 1 :]: info.size for info in self._list(folder, recursive=True) if info.is_file}

    def folders(self, folder: str) -> list[str]:
        return [info.base_name for info in self._list(folder) if info.type == fs.FileType.Directory]

    def sha256(self, name: str) -> str:
        digest = new_sha256()
        with self._at(name) as (files, path), files.open_input_stream(path) as source:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def fetch(self, name: str, sha256: str) -> Path:
        def download(to: Path) -> None:
            with self._at(name) as (files, path), files.open_input_stream(path) as source, to.open("wb") as sink:
                shutil.copyfileobj(source, sink, CHUNK)

        return cache.fetched(name.rpartition("/")[2], sha256, download)

    def begin(self, folder: str) -> Path:
        return cache.begin()

    def keep(self, path: Path, folder: str, files: dict[str, str]) -> None:
        for name in files:
            with (
                (path / name).open("rb") as source,
                self._at(f"{folder}/{name}") as (there, to),
                there.open_output_stream(to) as sink,
            ):
                shutil.copyfileobj(source, sink, CHUNK)
        for name, sha256 in files.items():
            cache.adopt(path / name, sha256)
        cache.end(path)

    def drop(self, path: Path, folder: str) -> None:
        cache.end(path)
        with contextlib.suppress(OSError):
            self.remove_tree(folder)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._at(name) as (files, path):
            files.delete_file(path)

    def remove_tree(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._at(folder) as (files, path):
            files.delete_dir(path)

    def move(self, folder: str, to: str) -> None:
        """What is written into the folder meanwhile stays there."""
        found = [info.path for info in self._list(folder, recursive=True) if info.is_file]
        if not found:
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", folder)
        for path in found:
            with self._at(to) as (files, target):
                files.copy_file(path, path.replace(self._path(folder), target, 1))
        for path in found:
            with self._at(folder) as (files, _), contextlib.suppress(FileNotFoundError):
                files.delete_file(path)

    def partial(self) -> dict[str, int]:
        return {}

    def lock(self, name: str, *, careful: bool = True) -> AbstractContextManager[bool]:
        return lease(self, f"locks/{name}.json", careful=careful)

    def holder(self, name: str) -> Holder | None:
        return holder(self, f"locks/{name}.json")

    def look_again(self, folder: str) -> None:
        """Object stores always tell how things are."""

    def outside(self, folder: str) -> tuple[str, Any]:
        with self._at(folder) as (files, path):
            return path, files

    def _list(self, folder: str, *, recursive: bool = False) -> list[fs.FileInfo]:
        with self._at(folder) as (files, path):
            selector = fs.FileSelector(path, allow_not_found=True, recursive=recursive)
            return sorted(files.get_file_info(selector), key=lambda info: info.path)

    def _path(self, name: str) -> str:
        return f"{self._reached()[1]}/{name}"

    @contextlib.contextmanager
    def _at(self, name: str) -> Iterator[tuple[fs.FileSystem, str]]:
        """The file system and the path in it; what goes wrong is told in a sentence."""
        files, base = self._reached()
        try:
            yield files, f"{base}/{name}"
        except (FileNotFoundError, StoreFailed):
            raise
        except OSError as error:
            if error.errno is not None:  # of a file here
                raise
            raise StoreFailed(self._told(error)) from None

    def _reached(self) -> tuple[fs.FileSystem, str]:
        """Connect, where it was not done.

        Raises:
            StoreUnreachable: where nothing answers there as a store does, or there is no such bucket.
        """
        with self._connecting:
            if self._connected is None:
                if time.monotonic() < self._away_until:  # threads that ask at once are not to wait one after the other
                    raise StoreUnreachable(self._away)
                try:
                    files, base = connect(self.location, FIRST)
                    found = files.get_file_info(bucket_of(base))
                    connected = connect(self.location, PATIENT)
                except OSError as error:
                    self._away, self._away_until = self._told(error), time.monotonic() + AWAY_S
                    raise StoreUnreachable(self._away) from None
                if found.type == fs.FileType.NotFound:
                    raise StoreUnreachable(f"the store {self.location}: there is no bucket {bucket_of(base)}")
                self._connected = connected
            return self._connected

    def _told(self, error: OSError) -> str:
        """pyarrow's own words are long, and name requests and not places."""
        text, code = str(error), _code(error)
        if code == AWAY:
            reason = f"{endpoint_of(self.location)} does not answer ({text.rpartition('Details: ')[2]})"
        elif code == "NO_SUCH_BUCKET":
            reason = "there is no such bucket"
        elif code in ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID"):
            reason = f"the credentials in the environment do not permit it ({code})"
        else:
            reason = re.sub(r" ?\(Request ID.*?\)", "", text.splitlines()[0] if text else type(error).__name__)
        return f"the store {self.location}: {reason}"


def _content(files: fs.FileSystem, path: str, size: int | None) -> tuple[bytes | None, OSError | None]:
    """An object's content, or its first bytes; where that fails and the place is there, why."""
    try:
        with files.open_input_file(path) as source:
            return source.read(size), None
    except FileNotFoundError:
        raise
    except OSError as error:
        if _code(error) == AWAY:
            raise
        return None, error


def _code(error: OSError) -> str:
    """The name that pyarrow gives what S3 answers; empty where it is none of that."""
    return next(iter(re.findall(r"AWS Error (\w+)", str(error))), "")
