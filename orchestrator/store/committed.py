"""The attempts at a job that have a manifest: what the store holds under a key, sound or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.store import manifest
from orchestrator.store.backends.backend import Backend
from orchestrator.store.entry import Entry
from orchestrator.store.manifest import MANIFEST, UnsoundManifest


@dataclass(frozen=True)
class Committed:
    """An attempt that has a manifest."""

    folder: str  # what is put aside where it is corrupt
    entry: Entry | None  # where the manifest is sound
    problem: str  # what is wrong with the manifest or, by their sizes, with the files; else empty

    def problem_in_depth(self) -> str:
        """What is wrong where every byte is looked at; empty where nothing is."""
        return self.problem or (self.entry and self.entry.problem(deep=True)) or ""

    @property
    def rank(self) -> tuple[float, str]:
        """Of several sound ones the lowest is the job's: the one that finished first."""
        return self.entry.manifest["finished"] if self.entry else 0.0, self.folder


def committed(backend: Backend, kind: str, key: str) -> list[Committed]:
    """All of them, by rank."""
    place = f"{kind}/{key}"
    sizes = backend.tree(place)
    if "" in sizes:
        return [Committed(place, None, "there is a file in its place")]
    found = [_read(backend, kind, key, name, sizes) for name in sizes if is_manifest(name)]
    return sorted((each for each in found if each), key=lambda each: each.rank)


def is_manifest(name: str) -> bool:
    """Whether a file below an entry's folder is a manifest: an attempt's or, as stores had it before, the entry's own."""
    attempt, _, last = name.rpartition("/")
    return last == MANIFEST and "/" not in attempt


def _read(backend: Backend, kind: str, key: str, name: str, sizes: Mapping[str, int]) -> Committed | None:
    """The attempt whose manifest has that name; None where it is gone meanwhile."""
    place = f"{kind}/{key}"
    folder = f"{place}/{name}".rpartition("/")[0]
    try:
        body = manifest.read(backend.read(f"{place}/{name}", sizes[name]), kind, key)  # it is never replaced by another
    except FileNotFoundError:
        return None
    except UnsoundManifest as error:
        return Committed(folder, None, str(error))
    attempt = body["attempt"]
    if name not in (MANIFEST, f"{attempt}/{MANIFEST}"):
        return Committed(folder, None, "the manifest is another attempt's")
    entry = Entry(backend, f"{place}/{attempt}", body)
    own = {each.removeprefix(f"{attempt}/"): size for each, size in sizes.items() if each.startswith(f"{attempt}/")}
    problem = entry.problem_of_sizes(own) and entry.problem(deep=False)  # a listing may be older than the manifest
    return Committed(folder, entry, problem or "")
