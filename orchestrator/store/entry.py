"""A committed result: what the store holds under a key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.store.backends.backend import Backend


@dataclass(frozen=True)
class Entry:
    """A committed result, of the attempt in ``folder``."""

    backend: Backend
    folder: str
    manifest: dict[str, Any]

    @property
    def results(self) -> dict[str, Any]:
        """Scalars: accuracies, epochs, seconds."""
        results: dict[str, Any] = self.manifest["results"]
        return results

    def file(self, name: str) -> Path:
        """A local path of one of the entry's files; from an object store it is fetched, once on each machine.

        Raises:
            CorruptEntry: where what was fetched is not what the manifest says.
        """
        return self.backend.fetch(f"{self.folder}/{name}", self.manifest["files"][name]["sha256"])

    def problem(self, *, deep: bool) -> str | None:
        """What is wrong with the entry's files, or None. ``deep`` reads them and compares SHA-256."""
        sizes = self.backend.sizes(self.folder) if self.manifest["files"] else {}
        if problem := self.problem_of_sizes(sizes):
            return problem
        for name, listed in self.manifest["files"].items() if deep else ():
            if self.backend.sha256(f"{self.folder}/{name}") != listed["sha256"]:
                return f"{name} does not have its SHA-256"
        return None

    def problem_of_sizes(self, sizes: dict[str, int]) -> str | None:
        """What is wrong with the entry's files by the bytes of those that are there, by name; or None."""
        for name, listed in self.manifest["files"].items():
            if name not in sizes:
                return f"{name} is missing"
            if sizes[name] != listed["bytes"]:
                return f"{name} has {sizes[name]} bytes, not {listed['bytes']}"
        return None
