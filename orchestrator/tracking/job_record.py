"""What MLflow is to hold of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.csv

from kd_core.training.checkpoint_files import CheckpointFiles
from orchestrator.experiment.space import applied
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.names import path_of
from orchestrator.planning.state import Evidence
from orchestrator.search.journal import written
from orchestrator.search.trial import Trial, trials_of
from orchestrator.store.artifacts import ARTIFACTS, HISTORY, PROBES, TRIALS, Table
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store
from orchestrator.tracking import history, search_run
from orchestrator.tracking.history import Epoch, Point, flat
from orchestrator.tracking.names import as_planned, metric, with_teachers
from orchestrator.tracking.note import note
from orchestrator.tracking.record import FORMAT, Data, Status

DIGEST = 16  # hex digits of a data set's, of which MLflow takes 36


@dataclass(frozen=True)
class JobRecord:
    """A job's run. Times are Unix seconds."""

    job: Job
    status: Status
    began: float
    ended: float
    evidence: Any  # what of the store says so
    work: CheckpointFiles
    entry: Entry | None = None
    reason: str = ""
    reported: int = 0
    trials: tuple[Trial, ...] = ()  # of a search
    searched: Mapping[str, Any] | None = None  # of a student, what its search chose
    sealed: bool = field(default=True, init=False)

    @property
    def key(self) -> str:
        return self.job.key

    @property
    def title(self) -> str:
        return path_of(self.job)

    @cached_property
    def fingerprint(self) -> str:
        return canonical.digest([FORMAT, self.title, self.job.labels, self.status, self.evidence])

    @property
    def began_ms(self) -> int:
        return min([int(1000 * self.began), *(epoch.began_ms for epoch in self.epochs(1)[:1])])

    @property
    def ended_ms(self) -> int:
        return int(1000 * self.ended)

    def epochs(self, limit: int | None = None) -> tuple[Epoch, ...]:
        """Of a search, its trials."""
        if KINDS[self.job.kind].of_trials:
            return search_run.best_so_far(self.trials)[:limit]
        if self.entry is None:
            return with_teachers(history.unfinished(self.work), self._teachers)
        found = history.finished(HISTORY.read(self.entry), limit) if HISTORY.is_in(self.entry) else ()
        return with_teachers(found, self._teachers)

    @property
    def _teachers(self) -> list[str]:
        names = self.job.labels.get("teachers", "")
        return names.split(", ") if names else []

    def params(self) -> dict[str, str]:
        """The settings in force: of a searched student the values that were chosen."""
        config, more = self.job.config, {}
        if KINDS[self.job.kind].of_trials:
            config = search_run.settings(config)
            more = {"chosen": self.entry.results["chosen"]} if self.entry else {}
        elif self.searched is not None:
            config, more = applied(config, self.searched), {"searched": self.searched}
        return {name: value for name, value in (self.job.labels | flat(as_planned(config)) | flat(more)).items() if value}

    def tags(self) -> dict[str, str]:
        names = {"teacher": "teachers"} | ({"model": "student"} if KINDS[self.job.kind].about_student else {})
        found = {f"kd.{names.get(label, label)}": value for label, value in self.job.labels.items()}
        found |= {"kd.stage": self.job.kind, "kd.reason": self.reason, "mlflow.note.content": note(self.job, self.entry)}
        if self.entry:
            environment = self.entry.manifest["environment"]
            commit = environment.get("git_commit", "")
            dirty = str(commit.endswith("+")).lower() if commit else ""
            found |= {"mlflow.source.git.commit": commit.removesuffix("+"), "mlflow.source.git.dirty": dirty}
            found["kd.environment"] = canonical.text(environment)
            found |= {f"kd.{name}": value for name, value in self.entry.results.items() if isinstance(value, str)}
        return {name: value for name, value in found.items() if value}

    def results(self) -> list[Point]:
        """Scalars of the manifest, and of probes the accuracy over the depth of the network."""
        if self.entry is None:
            return []
        prefix = KINDS[self.job.kind].metrics
        numbers = {metric(name): value for name, value in self.entry.results.items() if _number(value)}
        values = {f"{prefix}{name}": value for name, value in numbers.items() if name}
        values["seconds"] = self.entry.manifest["seconds"]
        points = [Point(name, float(value), self.ended_ms, 0) for name, value in values.items()]
        if PROBES.is_in(self.entry):
            depth: dict[str, int] = {}
            for row in PROBES.read(self.entry).select(["split", "accuracy"]).to_pylist():
                step = depth[row["split"]] = depth.get(row["split"], -1) + 1
                points.append(Point(f"depth/{row['split']}_accuracy", row["accuracy"], self.ended_ms, step))
        return points

    def data(self) -> Data | None:
        data = self.job.config.get("data")
        if data is None:
            return None
        return Data(data["name"], canonical.digest(data)[:DIGEST], canonical.text(data))

    def files(self, folder: Path) -> list[Path]:
        if self.entry is None:
            return []
        if KINDS[self.job.kind].of_trials:
            return search_run.files(self.job, self.trials, self.entry.results["trial"], folder)
        kind = KINDS[self.job.kind]
        found = [ARTIFACTS[name].path(self.entry) for name in (*kind.attached, *kind.tabulated)]
        for name in kind.tabulated:
            table = ARTIFACTS[name]
            assert isinstance(table, Table)
            found.append(folder / f"{name}.csv")
            pyarrow.csv.write_csv(table.read(self.entry), found[-1])
        return found


def record_of(job: Job, store: Store, *, running: bool, evidence: Evidence | None = None) -> JobRecord | None:
    """What a job's evidence in the store comes to (it is looked for where it is not ``seen``); None where it has not begun."""
    evidence, work = evidence or Evidence.of(job, store), store.work(job)
    if entry := evidence.entry:
        stated = entry.manifest
        return JobRecord(job, Status.FINISHED, stated["started"], stated["finished"], canonical.digest(stated), work, entry)
    progress, failure = evidence.progress, {} if running else evidence.failure
    if failure:
        began, ended, reason = progress.get("started", failure["time"]), failure["time"], str(failure["reason"])
        return JobRecord(job, Status.FAILED, began, ended, [ended, reason], work, reason=reason)
    if not progress:
        return None
    status = Status.RUNNING if running else Status.KILLED
    began, ended = progress["started"], progress["updated"]
    return JobRecord(job, status, began, ended, ended, work, reported=progress.get("epoch", 0))


def with_trials(record: JobRecord, store: Store, known: dict[str, Trial]) -> JobRecord:
    """A search's record, with its trials; ``known`` as in :func:`orchestrator.search.journal.written`."""
    if record.entry:
        trials = trials_of(TRIALS.read(record.entry))
    else:
        trials = written(record.job, store, known)
    return replace(record, trials=tuple(trials), reported=len(search_run.best_so_far(trials)))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
