"""Where a data set lies, and how it is held. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kd_core.knobs import Knobs, knob


@dataclass(frozen=True)
class Place(Knobs):
    """Where the data set lies, and how it is held. In no job's key."""

    root: str = knob("data", "directory that holds the data sets, relative to the current directory")
    download: bool = knob(False, "fetch the data set into root when it is not there")
    memory_gib: float = knob(
        4.0, "a job keeps decoded files of images up to so much, GiB; more is decoded batch by batch", low=0
    )
    cache: str | None = knob(
        None, "folder on a fast disk where files of images are kept decoded, for all jobs on a machine; null: none is kept"
    )

    def absolute(self) -> Place:
        """The same place from wherever a process stands."""
        cache = None if self.cache is None else str(Path(self.cache).absolute())
        return replace(self, root=str(Path(self.root).absolute()), cache=cache)
