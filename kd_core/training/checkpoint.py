"""Checkpoints: the state at an epoch's end, in files whose names hold their own hash.

A checkpoint is one safetensors file ``epoch-00012.<16 hex digits of its SHA-256>.safetensors``, its history in the metadata. A
half-written or damaged file is recognised by its name, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors.torch
from safetensors import safe_open
from torch import Tensor

KEPT = 2  # the newest and one to fall back on


@dataclass(frozen=True)
class Record:
    """What is known of one epoch. ``epoch`` counts from 1: so many are done."""

    epoch: int
    time_ms: int  # Unix time at the epoch's end
    seconds: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Checkpoint:
    """State after ``len(history)`` epochs."""

    tensors: dict[str, Tensor]
    history: tuple[Record, ...]

    def content(self) -> bytes:
        """The checkpoint as a safetensors file."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        return safetensors.torch.save(tensors, metadata={"history": json.dumps([asdict(record) for record in self.history])})


class Checkpoints:
    """The checkpoints of one job in a folder of its own, which is made when the first is saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in one step and drop those older than the last two.

        Raises:
            OSError: where the disk does not take it; earlier checkpoints stay as they were.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        content = checkpoint.content()
        epoch = len(checkpoint.history)
        path = self.folder / f"epoch-{epoch:05d}.{_hash(content)}.safetensors"
        beside = self.folder / f".{path.name}.{os.getpid()}"
        try:
            beside.write_bytes(content)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        for old in list(self._newest_first())[KEPT:]:
            old.unlink(missing_ok=True)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None."""
        for path in self._newest_first():
            content = path.read_bytes()
            if _hash(content) == path.name.split(".")[1]:
                return Checkpoint(safetensors.torch.load(content), read_history(path))
        return None

    def _newest_first(self) -> Iterator[Path]:
        return iter(sorted(self.folder.glob("epoch-*.safetensors"), reverse=True))


def read_history(path: Path) -> tuple[Record, ...]:
    """The epochs that a checkpoint file tells of; its tensors are not read."""
    with safe_open(path, framework="np") as file:
        return tuple(Record(**record) for record in json.loads(file.metadata()["history"]))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
