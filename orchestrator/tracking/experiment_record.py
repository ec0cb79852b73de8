"""What MLflow is to hold of an experiment: the parent of its jobs' runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import starmap
from pathlib import Path

from orchestrator.experiment.spec import Spec
from orchestrator.jobs import canonical
from orchestrator.tracking.cell_record import ACCURACY, CellRecord, status_of
from orchestrator.tracking.history import Epoch, Point
from orchestrator.tracking.job_record import JobRecord
from orchestrator.tracking.record import FORMAT, Data, Status

Artifacts = Callable[[Path], None]


@dataclass(frozen=True)
class ExperimentRecord:
    """The parent run: stands for all jobs of an experiment."""

    spec: Spec
    jobs: int  # how many runs there are to be
    records: tuple[JobRecord, ...]  # those that have begun
    active: bool  # whether a driver is at work
    artifacts: Artifacts
    cells: tuple[CellRecord, ...] = ()
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
        return status_of([record.status for record in self.records], self.jobs, self.active)

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
        found = {"kd.stage": "experiment", "mlflow.note.content": self._note()}
        failed = [record.title for record in self.records if record.status is Status.FAILED]
        if self.status is Status.FAILED:
            found["kd.reason"] = f"{len(failed)} of {self.jobs} jobs failed: {', '.join(failed)}"
        return found

    def _note(self) -> str:
        done = [record.status for record in self.records].count(Status.FINISHED)
        lines = [f"**{self.title}**: {done} of {self.jobs} jobs done. The report is among the artifacts (`report.html`)."]
        rows = [(cell.title, cell.latest) for cell in self.cells if cell.latest]
        if rows:
            lines.append("| cell | test accuracy, % | against plain |\n|:--|--:|--:|\n" + "\n".join(starmap(_row, rows)))
        return "\n\n".join(lines)

    def results(self) -> list[Point]:
        return []

    def data(self) -> Data | None:
        return None

    def files(self, folder: Path) -> list[Path]:
        self.artifacts(folder)
        return sorted(folder.iterdir())


def _row(title: str, numbers: Mapping[str, float]) -> str:
    spread, against = numbers.get(f"{ACCURACY}.std"), numbers.get(f"{ACCURACY}.vs_plain")
    mean = f"{100 * numbers[f'{ACCURACY}.mean']:.2f}" + ("" if spread is None else f" ± {100 * spread:.2f}")
    return f"| {title.replace('|', '/')} | {mean} | {'–' if against is None else f'{100 * against:+.2f}'} |"
