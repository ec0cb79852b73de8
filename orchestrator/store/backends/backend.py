"""The interface of what a store lies on: a tree of files under slash-separated names, in a folder or in an object store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    since: float  # Unix time
    host: str = ""
    pid: int = 0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "another process"


class Backend(Protocol):
    """Names are relative. A file appears whole or not at all, and what was written is seen by every later reader.

    Raises:
        OSError: from every method, where the place fails; StoreError where it could not be used from the start.
    """

    location: str  # an absolute path or a URI, without any secret
    many: int  # how many requests at once are worth their while
    pause_s: float  # what is best left between two writes of what is soon replaced

    def prepare(self) -> None:
        """Make the place ready to be written.

        Raises:
            StoreError: where it cannot be.
        """

    def read(self, name: str, size: int | None = None) -> bytes:
        """The content, or its first ``size`` bytes.

        Raises:
            FileNotFoundError: where there is none.
        """

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Put the content in place in one step. Not ``durable``: a power cut may leave half of it."""

    def sizes(self, folder: str) -> dict[str, int]:
        """Name and bytes of each file directly in a folder; empty where there is no such folder."""

    def tree(self, folder: str) -> dict[str, int]:
        """Name, below the folder, and bytes of each file in it, however deep. Where there is a file in the folder's place, that
        one under the empty name."""

    def folders(self, folder: str) -> list[str]:
        """Sorted names of the folders directly in a folder."""

    def sha256(self, name: str) -> str:
        """64 hex digits, of the bytes as they are now."""

    def fetch(self, name: str, sha256: str) -> Path:
        """A local path of a file that never changes.

        Raises:
            CorruptEntry: where it had to be fetched and is not the one with that SHA-256.
        """

    def begin(self, folder: str) -> Path:
        """A new local folder, to be filled with what shall become the files of ``folder``."""

    def keep(self, path: Path, folder: str, files: dict[str, str]) -> None:
        """Make what was begun the durable content of ``folder``. ``files`` holds names and SHA-256."""

    def drop(self, path: Path, folder: str) -> None:
        """Forget what was begun, kept or not."""

    def remove(self, name: str) -> None:
        """Remove a file, where it is there."""

    def remove_tree(self, folder: str) -> None:
        """Remove a folder and all below it, where it is there."""

    def move(self, folder: str, to: str) -> None:
        """Move a folder and all below it; of a folder that a link leads to, the link.

        Raises:
            FileNotFoundError: where there is none.
        """

    def partial(self) -> dict[str, int]:
        """Name and bytes of every file that a killed process left half written, if it has done so for an hour."""

    def lock(self, name: str, *, careful: bool = True) -> AbstractContextManager[bool]:
        """Hold an exclusive lock until the block ends or the process dies; False where another holds it. Not ``careful``: it
        is got sooner where that is slow, and in return may be another's too."""

    def holder(self, name: str) -> Holder | None:
        """The living process that holds the lock of that name."""

    def look_again(self, folder: str) -> None:
        """Have what is read of a folder from now on be as others have written it until now."""

    def outside(self, folder: str) -> tuple[str, Any]:
        """A folder for libraries that read and write by themselves: its path, and the pyarrow file system of that path, or
        None where it is a path of this machine."""
