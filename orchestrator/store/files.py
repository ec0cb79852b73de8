"""Files of this machine: their SHA-256, and how they are written so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

BESIDE = re.compile(r"\..+\.[0-9a-f]{8}\Z|\.write-[0-9a-f]{8}\Z")  # the name of a file that is being written
RACES = 20  # lost in a row, before it is something else

Made = TypeVar("Made")


class OutputError(ValueError):
    """What the user wants written cannot be there."""


class OutputFailed(OSError):
    """What the user wants written could not be; in one sentence."""


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: Path, size: int | None = None) -> bytes:
    """What a file holds, or its first ``size`` bytes, also where another machine replaces it meanwhile: on a network's file
    system the handle that was opened goes stale then.

    Raises:
        FileNotFoundError: where it is not there, or no longer.
    """
    for _ in range(RACES):
        try:
            with opened(path) as file:
                return file.read(-1 if size is None else size)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to read; where another machine has removed it since, a network's file system complains when it is closed."""
    file = path.open("rb")
    try:
        yield file
    finally:
        close(file)


def close(file: IO[Any]) -> None:
    """Close a file to which nothing was written that matters."""
    with contextlib.suppress(OSError):
        file.close()


def write_json(path: Path, value: object) -> None:
    """Write a JSON file so that no reader ever sees half of it, and a full disk leaves the old one."""
    write_bytes(path, json_bytes(value))


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write beside, to disk where it is to be ``durable``, then replace."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with in_made_folder(path.parent, lambda: beside.open("wb")) as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        with contextlib.suppress(OSError):  # it must not hide what happened
            beside.unlink(missing_ok=True)


def in_made_folder(folder: Path, make: Callable[[], Made]) -> Made:
    """Make the folder, and something in it; again where another process has removed the folder as empty in between."""
    for _ in range(RACES):
        with contextlib.suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return make()
    folder.mkdir(parents=True, exist_ok=True)
    return make()


def write_output(path: Path, content: bytes) -> None:
    """Write a file that the user named: in one step, or straight into what is no regular file, as a device or a pipe is. Where
    the path is a link, what it leads to is written.

    Raises:
        OutputError: where it is a folder.
        OutputFailed: where it cannot be written; a file that was there stays as it was.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it")
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                file.write(content)
        else:
            write_bytes(path.resolve(), content)
    except OSError as error:
        raise OutputFailed(f"{path} cannot be written: {error.strerror or error}") from None


def meant(path: str | Path) -> Path:
    """The file that was to be written, where a path is of one beside it that was to take its place."""
    path = Path(path)
    return path.with_name(path.name[1:].rpartition(".")[0] or path.name) if BESIDE.match(path.name) else path


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON object; empty where the file is absent or not whole."""
    try:
        return json_object(read_bytes(path))
    except OSError:
        return {}


def json_bytes(value: object) -> bytes:
    """As the project writes JSON into files."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode()


def json_object(content: bytes) -> dict[str, Any]:
    """A JSON object; empty where the content is none."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
