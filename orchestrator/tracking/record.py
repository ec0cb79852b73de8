"""What MLflow is to hold of one run: a pure function of the store. MLflow itself is not needed here."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.tracking.history import Epoch, Point

FORMAT = 2  # raise it when a change of code changes what a run holds: finished runs are then written anew


class Status(enum.StrEnum):
    """MLflow's own words."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True)
class Data:
    """The data set of a run: its name, and what decides its images and labels, which the digest is of."""

    name: str
    digest: str
    config: str  # canonical JSON


class Record(Protocol):
    """One run as it is to be."""

    @property
    def key(self) -> str:
        """Names the run within its experiment."""

    @property
    def title(self) -> str:
        """The run's name."""

    @property
    def status(self) -> Status: ...

    @property
    def fingerprint(self) -> str:
        """Names all that the run is to hold: what bears it is complete."""

    @property
    def sealed(self) -> bool:
        """Whether a finished run may never hold anything else, so that another one takes its place."""

    @property
    def reported(self) -> int:
        """Epochs that a running job says it has done."""

    @property
    def began_ms(self) -> int:
        """Unix time in ms: of the first epoch, where an earlier attempt trained it."""

    @property
    def ended_ms(self) -> int: ...

    def epochs(self) -> tuple[Epoch, ...]:
        """What is known of each epoch, read anew at every call."""

    def params(self) -> dict[str, str]: ...

    def tags(self) -> dict[str, str]: ...

    def results(self) -> list[Point]:
        """Metrics that are known at the end."""

    def data(self) -> Data | None:
        """What it was trained on; None where it is no training."""

    def files(self, folder: Path) -> list[Path]:
        """Artifacts; what does not exist yet is written into ``folder``."""
