"""What MLflow is to hold of a cell: a student and method over their seeds, which are the runs below it. MLflow itself does not
group runs by seed, so that this run is what its table and charts compare methods by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.report.analysis.statistics import paired, sample
from orchestrator.report.analysis.summary import CONTROL
from orchestrator.tracking.history import Epoch, Point
from orchestrator.tracking.job_record import JobRecord
from orchestrator.tracking.names import CHOSEN
from orchestrator.tracking.record import FORMAT, Data, Status

ACCURACY = "test/accuracy"  # with .mean, .std, .n and .vs_plain behind it


@dataclass(frozen=True)
class CellRecord:
    """``records`` are those of its students that have begun, of ``planned`` ones; ``controls`` are the students of plain
    training that it is compared with, seed by seed."""

    name: str
    planned: int
    records: tuple[JobRecord, ...]
    controls: tuple[JobRecord, ...]
    active: bool
    sealed: bool = field(default=False, init=False)

    @property
    def key(self) -> str:
        return f"cell:{self.name}"

    @property
    def title(self) -> str:
        return self.name.replace(" · ", "/")

    @cached_property
    def status(self) -> Status:
        return status_of([record.status for record in self.records], self.planned, self.active)

    @cached_property
    def fingerprint(self) -> str:
        seeds = {record.key: record.fingerprint for record in (*self.records, *self.controls)}
        return canonical.digest([FORMAT, self.title, self.status, self.planned, seeds])

    @property
    def began_ms(self) -> int:
        return min(record.began_ms for record in self.records)

    @property
    def ended_ms(self) -> int:
        return max(record.ended_ms for record in self.records)

    @property
    def reported(self) -> int:
        return len(self.epochs())

    def epochs(self) -> tuple[Epoch, ...]:
        """The numbers as they were when each seed ended, its own or one of plain training; all at step 0, so that the last one
        counts and charts show a bar."""
        return self._epochs

    @cached_property
    def _epochs(self) -> tuple[Epoch, ...]:
        ended: dict[int, list[tuple[_Numbers, JobRecord]]] = {}
        own, plain = _Numbers(), _Numbers()
        for numbers, records in ((own, self.records), (plain, self.controls)):
            for record in _done(records):
                ended.setdefault(record.ended_ms, []).append((numbers, record))
        found = []
        for end in sorted(ended):
            for numbers, record in ended[end]:
                numbers.add(record)
            if own.tested:
                found.append(Epoch(end, tuple(Point(name, value, end, 0) for name, value in self._told(own, plain))))
        return tuple(found)

    @cached_property
    def latest(self) -> dict[str, float]:
        """The numbers by name as they are now; empty where no seed is done."""
        return {point.name: point.value for epoch in self.epochs()[-1:] for point in epoch.points}

    def _told(self, own: _Numbers, plain: _Numbers) -> Iterable[tuple[str, float]]:
        found = sample(list(own.tested.values()))
        assert found
        yield f"{ACCURACY}.mean", found.mean
        yield f"{ACCURACY}.n", float(found.n)
        if found.std is not None:
            yield f"{ACCURACY}.std", found.std
        if difference := paired(own.tested, plain.tested):
            yield f"{ACCURACY}.vs_plain", difference.mean
        if validated := sample(list(own.validated.values())):
            yield f"{CHOSEN}.mean", validated.mean

    def params(self) -> dict[str, str]:
        """What the seeds have in common."""
        shared = self.records[0].params()
        return {name: value for name, value in shared.items() if name != "seed"}

    def tags(self) -> dict[str, str]:
        first = self.records[0].tags()
        names = ("kd.cell", "kd.method", "kd.student", "kd.teachers")
        found = {name: first[name] for name in names if name in first}
        return found | {"kd.stage": "cell", "mlflow.note.content": self._note()}

    def _note(self) -> str:
        done = len(_done(self.records))
        lines = [f"**{self.title}**: mean and standard deviation over seeds, of which {done} of {self.planned} are done."]
        if numbers := self.latest:
            std, against = numbers.get(f"{ACCURACY}.std"), numbers.get(f"{ACCURACY}.vs_plain")
            spread = "" if std is None else f" ± {100 * std:.2f}"
            lines.append(f"Test accuracy {100 * numbers[f'{ACCURACY}.mean']:.2f}{spread} %.")
            if against is not None:
                lines.append(f"Against plain training, paired by seed: {100 * against:+.2f} points.")
        return "\n\n".join(lines)

    def results(self) -> list[Point]:
        return []

    def data(self) -> Data | None:
        return self.records[0].data()

    def files(self, folder: Path) -> list[Path]:
        return []


def cells(jobs: Iterable[Job], records: Sequence[JobRecord], active: bool) -> dict[str, CellRecord]:
    """By name the cells of which a student has begun, in the order of the plan; ``jobs`` are all that are planned."""
    planned: dict[str, int] = {}
    for job in jobs:
        if job.kind == "student":
            planned[job.labels["cell"]] = planned.get(job.labels["cell"], 0) + 1
    begun: dict[str, list[JobRecord]] = {}
    controls: dict[str, list[JobRecord]] = {}
    for record in records:
        if record.job.kind == "student":
            begun.setdefault(record.job.labels["cell"], []).append(record)
            if record.job.config["method"]["name"] == CONTROL:
                controls.setdefault(_setting(record.job), []).append(record)

    def compared(those: list[JobRecord]) -> tuple[JobRecord, ...]:
        job = those[0].job
        return () if job.config["method"]["name"] == CONTROL else tuple(controls.get(_setting(job), ()))

    return {
        name: CellRecord(name, planned[name], tuple(begun[name]), compared(begun[name]), active)
        for name in planned
        if name in begun
    }


def status_of(found: Sequence[Status], planned: int, active: bool) -> Status:
    """Of what consists of so many runs; ``active`` says whether a driver is at work, so that what waits is still to come."""
    if found.count(Status.FINISHED) == planned:
        return Status.FINISHED
    if active:
        return Status.RUNNING
    return Status.FAILED if Status.FAILED in found else Status.KILLED


def _setting(job: Job) -> str:
    """What students of plain training must share with others to be compared with them."""
    return canonical.text([job.config["data"], job.config["model"], job.config["recipe"]])


def _done(records: Iterable[JobRecord]) -> list[JobRecord]:
    return [record for record in records if record.status is Status.FINISHED]


@dataclass
class _Numbers:
    """Accuracies by seed."""

    tested: dict[int, float] = field(default_factory=dict)
    validated: dict[int, float] = field(default_factory=dict)

    def add(self, record: JobRecord) -> None:
        """Those of a student that is done."""
        assert record.entry
        for values, name in ((self.tested, "test_accuracy"), (self.validated, "validation_accuracy")):
            if (value := record.entry.results.get(name)) is not None:
                values[record.job.config["seed"]] = value
