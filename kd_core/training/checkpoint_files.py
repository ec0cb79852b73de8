"""Where checkpoints are kept, and what their names and headers tell. Imports no torch.

A checkpoint is named ``epoch-00012.<16 hex digits of its SHA-256>.safetensors``; its header holds the history of the epochs.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Protocol

PREFIX, SUFFIX = "epoch-", ".safetensors"
NAME = re.compile(rf"{PREFIX}\d{{5,}}\.[0-9a-f]{{16}}{re.escape(SUFFIX)}")
HEADER_BYTES = 2**16  # read at once in the hope that a header is no longer


class CheckpointFiles(Protocol):
    """Keeps the files of one job under flat names. Raises OSError where it cannot."""

    def names(self) -> list[str]:
        """Of what is kept; empty where nothing is."""

    def read(self, name: str, size: int | None = None) -> bytes:
        """The content, or its first ``size`` bytes."""

    def write(self, name: str, content: bytes) -> None:
        """Keep in one step: nobody sees half of it, and a failure leaves what there was."""

    def remove(self, name: str) -> None:
        """Forget it, where it is there."""


class Folder:
    """A local folder, which is made when something is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        return [path.name for path in self.path.iterdir()] if self.path.is_dir() else []

    def read(self, name: str, size: int | None = None) -> bytes:
        with (self.path / name).open("rb") as file:
            return file.read(-1 if size is None else size)

    def write(self, name: str, content: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        beside = self.path / f".{name}.{os.getpid()}"
        try:
            beside.write_bytes(content)
            os.replace(beside, self.path / name)
        finally:
            beside.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


def newest_first(files: CheckpointFiles) -> list[str]:
    """The names of the checkpoints; what is named otherwise is none."""
    return sorted(filter(NAME.fullmatch, files.names()), key=lambda name: (epoch_of(name), name), reverse=True)


def epoch_of(name: str) -> int:
    """How many epochs a checkpoint holds, by its name."""
    return int(name.removeprefix(PREFIX).split(".")[0])


def records(files: CheckpointFiles, name: str) -> list[dict[str, Any]]:
    """The history in a checkpoint's header, a dict of the fields of a Record for each epoch; its tensors are not read.

    Raises:
        ValueError: where it has none, or is cut short.
    """
    head = files.read(name, HEADER_BYTES)
    if _end_of_header(head) > len(head) == HEADER_BYTES:
        head = files.read(name, _end_of_header(head))
    return records_in(head, name)


def records_in(content: bytes, name: str) -> list[dict[str, Any]]:
    """As :func:`records`, of what was read already: the whole file or its first bytes.

    Raises:
        ValueError: where it is no checkpoint.
    """
    try:
        history: list[dict[str, Any]] = json.loads(json.loads(content[8 : _end_of_header(content)])["__metadata__"]["history"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{name} holds no history") from error
    return history


def _end_of_header(content: bytes) -> int:
    """Of safetensors: the header's length in 8 bytes, the header as JSON, the tensors."""
    return 8 + int.from_bytes(content[:8], "little")
