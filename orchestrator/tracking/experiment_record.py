"""What MLflow is to hold of an experiment: the parent of its jobs' runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orchestrator.experiment.spec import Spec
from orchestrator.jobs import canonical
from orchestrator.tracking.history import Epoch, Point
from orchestrator.tracking.job_record import JobRecord
from orchestrator.tracking.record import FORMAT, Status

Artifacts = Callable[[Path], None]


@dataclass(frozen=True)
class ExperimentRecord:
    """The parent run: stands for all jobs of an experiment."""

    spec: Spec
    jobs: int  # how many runs there are to be
    records: tuple[JobRecord, ...]  # those that have begun
    active: bool  # whether a driver is at work
    artifacts: Artifacts
    sealed: bool = field(default=False, init=False)
    reported: int = field(default=0, init=False)

    @property
    def key(self) -> str:
        return f"experiment:{self.spec.name}"

    @property
    def title(self) -> str:
        return self.spec.name

    @cached_property
    def status(self) -> Status:
        found = [record.status for record in self.records]
        if found.count(Status.FINISHED) == self.jobs:
            return Status.FINISHED
        if self.active:
            return Status.RUNNING
        return Status.FAILED if Status.FAILED in found else Status.KILLED

    @cached_property
    def fingerprint(self) -> str:
        children = {record.key: record.fingerprint for record in self.records}
        return canonical.digest([FORMAT, self.status, children, self.jobs])

    @property
    def began_ms(self) -> int:
        return min(record.began_ms for record in self.records)

    @property
    def ended_ms(self) -> int:
        return max(record.ended_ms for record in self.records)

    def epochs(self) -> tuple[Epoch, ...]:
        return ()

    def params(self) -> dict[str, str]:
        """None: they could never change, but an experiment grows."""
        return {}

    def tags(self) -> dict[str, str]:
        found = {"kd.stage": "experiment"}
        failed = [record.title for record in self.records if record.status is Status.FAILED]
        if self.status is Status.FAILED:
            found["kd.reason"] = f"{len(failed)} of {self.jobs} jobs failed: {', '.join(failed)}"
        return found

    def results(self) -> list[Point]:
        return []

    def files(self, folder: Path) -> list[Path]:
        self.artifacts(folder)
        return sorted(folder.iterdir())
