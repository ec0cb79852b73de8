"""What the store keeps of jobs that are not done: their work folders; and folders for the use of others."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from orchestrator.store.backends.backend import Backend


class Work:
    """The folder of a job's work: a keeper of its checkpoints (:class:`kd_core.training.checkpoint_files.CheckpointFiles`)."""

    def __init__(self, backend: Backend, folder: str) -> None:
        self.backend = backend
        self.folder = folder

    def names(self) -> list[str]:
        return list(self.backend.sizes(self.folder))

    def read(self, name: str, size: int | None = None) -> bytes:
        return self.backend.read(f"{self.folder}/{name}", size)

    def write(self, name: str, content: bytes) -> None:
        """In one step; a checkpoint that a power cut tore is known by its name, so none waits for the disk."""
        self.backend.write(f"{self.folder}/{name}", content, durable=False)

    def remove(self, name: str) -> None:
        self.backend.remove(f"{self.folder}/{name}")


@dataclass(frozen=True)
class Scratch:
    """A folder of the store for what others keep there by themselves, as Ray Tune does; all nodes reach it."""

    backend: Backend
    folder: str

    @property
    def path(self) -> str:
        """As :attr:`filesystem` takes it."""
        return self.backend.outside(self.folder)[0]

    @property
    def filesystem(self) -> Any:
        """Of pyarrow; None where the path is one of this machine. Pickled, it holds no credentials."""
        return self.backend.outside(self.folder)[1]

    def clear(self) -> None:
        """Remove it; a store that fails is let be, since nothing in it is needed."""
        with contextlib.suppress(OSError):
            self.backend.remove_tree(self.folder)
