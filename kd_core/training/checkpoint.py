"""Checkpoints: the state at an epoch's end, in files whose names hold their own hash.

A checkpoint is one safetensors file ``epoch-00012.<16 hex digits of its SHA-256>.safetensors``, its history in the metadata. A
half-written or damaged file is recognised by its name, and the one before it is used. Where they lie is the affair of
:mod:`kd_core.training.checkpoint_files`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from kd_core.training.checkpoint_files import PREFIX, SUFFIX, CheckpointFiles, Folder, newest_first, records, records_in

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
    """The checkpoints of one job, in a folder of its own or wherever else ``files`` keeps them."""

    def __init__(self, files: CheckpointFiles | Path) -> None:
        self.files = Folder(files) if isinstance(files, Path) else files

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in one step and drop those older than the last two.

        Raises:
            OSError: where it cannot be written; earlier checkpoints stay as they were.
        """
        content = checkpoint.content()
        self.files.write(f"{PREFIX}{len(checkpoint.history):05d}.{_hash(content)}{SUFFIX}", content)
        for old in newest_first(self.files)[KEPT:]:
            self.files.remove(old)

    def newest(self, like: Mapping[str, Tensor] = MappingProxyType({})) -> Checkpoint | None:
        """The newest checkpoint that is whole and holds tensors of these names and shapes, or None."""
        for name in newest_first(self.files):
            # removed just now, by a worker that was taken for dead; or of somebody else, for all that its name is right
            with contextlib.suppress(FileNotFoundError, SafetensorError, ValueError, TypeError):
                content = self.files.read(name)
                if _hash(content) != name.split(".")[1]:
                    continue
                found = Checkpoint(safetensors.torch.load(content), _history(records_in(content, name)))
                own = {name: tensor.shape for name, tensor in found.tensors.items()}
                if all(own.get(name) == tensor.shape for name, tensor in like.items()):
                    return found
        return None


def read_history(files: CheckpointFiles, name: str) -> tuple[Record, ...]:
    """The epochs that a checkpoint tells of; its tensors are not read."""
    return _history(records(files, name))


def _history(fields: list[dict[str, Any]]) -> tuple[Record, ...]:
    return tuple(Record(**record) for record in fields)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
