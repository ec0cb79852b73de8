"""The store, projected into MLflow: one run for each job, one for each trial of a search, below the search's, one for each
cell, above its students', and one for the experiment, however often it is repeated.

A run that bears its record's fingerprint is complete and is not touched again. Everything else is found by its key and
brought up to date; a mark of the epochs that it holds lets a run that grows receive only what is new.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.experiment.spec import Spec
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.plan import Plan
from orchestrator.planning.state import Evidence, gather_evidence
from orchestrator.search.trial import Trial
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store
from orchestrator.tracking.attachments import attach
from orchestrator.tracking.cell_record import cells
from orchestrator.tracking.experiment_record import Artifacts, ExperimentRecord
from orchestrator.tracking.failure import Busy, TrackingError, sentence
from orchestrator.tracking.history import Epoch, count, mark
from orchestrator.tracking.job_record import JobRecord, record_of, with_trials
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.models import ModelSummary, log_models
from orchestrator.tracking.record import Record, Status
from orchestrator.tracking.server import Run, Server, failures, settings
from orchestrator.tracking.tags import EPOCHS, KEY, OLDER, WRITTEN
from orchestrator.tracking.trial_record import TrialRecord, key_of, trial_record

PARENT, REASON = "mlflow.parentRunId", "kd.reason"
AWAY = "kd.away"  # a tag of the user's: the run, once it is deleted, is not written again


@dataclass(frozen=True)
class Summary:
    """What a projection did, in runs: one for each job that has begun, each trial that has ended, each cell of which a student
    has begun, and the experiment."""

    written: int
    unchanged: int
    removed: int  # duplicates, and runs that held something else than the store does
    note: str = ""  # what a user should know of MLflow's place
    models: ModelSummary | None = None

    def __str__(self) -> str:
        removed = f", {self.removed} removed" if self.removed else ""
        runs = f"{self.written} runs written, {self.unchanged} unchanged{removed}"
        return "\n".join(map(str, filter(None, (self.note, runs, self.models))))


def project(
    spec: Spec,
    plan: Plan,
    store: Store,
    *,
    running: Collection[str] = (),
    artifacts: Artifacts | None = None,
    rebuild: bool = False,
    models: bool = False,
    register: bool = False,
) -> Summary:
    """Write into MLflow what it does not hold yet.

    Args:
        running: keys of the jobs at work now.
        artifacts: writes the experiment's own artifacts; by default :func:`orchestrator.tracking.attachments.attach`.
        rebuild: whether to remove the experiment's runs first.
        models: whether to keep models, too, and to ``register`` them (see :mod:`orchestrator.tracking.models`).

    Raises:
        TrackingError: where MLflow fails, or another process writes the same runs.
        DataError, CorruptEntry: of models, where they cannot be made.
    """
    try:
        with settings(), opened(spec, plan, store, artifacts) as projection:
            if rebuild:
                projection.clear()
            done = projection.sync(running, active=bool(running))
            if not models:
                return done
            return replace(done, models=log_models(spec, plan, store, projection.server, projection.run, register=register))
    except Busy:
        raise
    except failures() as error:
        raise TrackingError(sentence(error, tracking_location(spec, store), spec.file)) from None


@contextlib.contextmanager
def opened(spec: Spec, plan: Plan, store: Store, artifacts: Artifacts | None) -> Iterator[Projection]:
    """The projection of an experiment, with the lock that makes this process its only writer.

    Raises:
        Busy: where another process holds it.
    """
    with store.lock(f"tracking-{spec.name}") as held:
        if not held:
            raise Busy(f"another `kd run` or `kd track` of {spec.name} is writing to MLflow")
        server = Server(tracking_location(spec, store), spec.tracking.experiment or spec.name)
        yield Projection(spec, plan, store, server, artifacts or partial(attach, spec, plan, store))


class Projection:
    """An experiment and its runs. Nobody else may write these meanwhile: see :func:`opened`."""

    def __init__(self, spec: Spec, plan: Plan, store: Store, server: Server, artifacts: Artifacts) -> None:
        self._spec = spec
        self._store = store
        self.server = server
        self._artifacts = artifacts
        self._jobs = [job for job in plan if KINDS[job.kind].tracked]
        self._finished: dict[str, JobRecord] = {}  # what cannot change any more is read once
        self._told: dict[str, dict[str, Trial]] = {}  # by search, its trials that have ended
        self._tried: dict[str, TrialRecord] = {}
        self._runs: dict[str, Run] = {}
        self._written: set[str] = set()
        self._removed = 0
        self._whose = {"kd.experiment": spec.name, "kd.store": store.identity()}
        found = self._found()
        for run in sorted((run for run in found if not run.deleted), key=_worth, reverse=True):
            if self._runs.setdefault(run.tags[KEY], run) is not run:
                self._remove(run)
        gone = {run.tags[KEY]: run for run in found if run.deleted and run.tags[KEY] not in self._runs}
        self._away = {key for key, run in gone.items() if AWAY in run.tags}
        self._deleted = gone.keys() - self._away

    def _found(self) -> list[Run]:
        """All runs of the experiment, also those that were deleted. What bears the tags of an older version gets today's."""
        found = self.server.runs(self._whose)
        for run in found:
            if tags := {name: run.tags[old] for name, old in OLDER.items() if old in run.tags}:
                if run.deleted:  # MLflow tags no such run
                    run.tags |= tags
                else:
                    self.server.write(run, (), {}, tags)
                    self.server.untag(run, *OLDER.values())
        return found

    def run(self, key: str) -> Run | None:
        """The run of a record; None where there is none."""
        return self._runs.get(key)

    def clear(self) -> None:
        """Remove all runs of the experiment."""
        for run in self._runs.values():
            self._remove(run)
        self._runs = {}

    def sync(self, running: Collection[str] = (), *, active: bool = False) -> Summary:
        """Bring every run up to date.

        Args:
            running: keys of the jobs at work now.
            active: whether a driver is at work, so that what waits is still to come.
        """
        keys: set[str] = set()
        jobs = tuple(self._records(running))
        if jobs:
            grouped = cells(self._jobs, jobs, active)
            parent = ExperimentRecord(self._spec, len(self._jobs), jobs, active, self._artifacts, tuple(grouped.values()))
            shown = {name: cell for name, cell in grouped.items() if cell.key not in self._away}
            keys = {parent.key, *(record.key for record in jobs), *(cell.key for cell in shown.values())}
            above = self._open(parent, (), None)
            of_cell = {name: self._put(cell, above) for name, cell in shown.items()}
            for record in jobs:
                if record.key in self._away:
                    keys.discard(record.key)
                    continue
                of_it = of_cell.get(record.job.labels["cell"]) if record.job.kind == "student" else None
                run = self._put(record, of_it or above)
                for trial in self._trials(record):
                    if trial.key not in self._away:
                        keys.add(trial.key)
                        self._put(trial, run)
            self._fill(above, parent, ())
        for key, run in self._runs.items():
            if run.status == Status.RUNNING and key not in keys:
                self.server.end(run, Status.KILLED, int(1000 * time.time()))
                self._written.add(key)
        note = "\n".join(filter(None, (self.server.note, self._deletions())))
        summary = Summary(len(self._written), len(keys - self._written), self._removed, note)
        self._written, self._removed = set(), 0
        return summary

    def _deletions(self) -> str:
        """What became of runs that somebody deleted in MLflow."""
        again, away = len(self._deleted & self._written), len(self._away)
        self._deleted -= self._written
        told = []
        if again:
            how = f"one that bore the tag {AWAY} when it was deleted stays away"
            told.append(f"runs that were deleted in MLflow are written again, since the store has them: {again}; {how}")
        if away:
            told.append(f"runs that stay away, as their tag {AWAY} says: {away}")
        return "\n".join(told)

    def _records(self, running: Collection[str]) -> Iterator[JobRecord]:
        """Of the jobs that have begun; what cannot change any more is not looked at again."""
        open_ = [job for job in self._jobs if job.key not in self._finished]
        evidence = dict(zip((job.key for job in open_), gather_evidence(open_, self._store), strict=True))
        for job in self._jobs:
            record = self._finished.get(job.key) or self._record(job, job.key in running, evidence[job.key])
            if record:
                yield record

    def _record(self, job: Job, running: bool, evidence: Evidence) -> JobRecord | None:
        record = record_of(job, self._store, running=running, evidence=evidence)
        if record and KINDS[job.kind].of_trials:
            record = with_trials(record, self._store, self._told.setdefault(job.key, {}))
        elif record and "searches" in job.parents:
            record = replace(record, searched=self._chosen(record))
        if record and record.status is Status.FINISHED:
            self._finished[job.key] = record
        return record

    def _chosen(self, student: JobRecord) -> dict[str, Any] | None:
        """What the search of a student chose; None where that is not known any more."""
        if student.entry:
            entry: Entry | None = student.entry
            name = "searched"
        else:
            [key] = student.job.parents["searches"]
            search = self._finished.get(key)
            entry, name = search.entry if search else None, "chosen"
        chosen: dict[str, Any] | None = entry.results[name] if entry else None
        return chosen

    def _trials(self, search: JobRecord) -> Iterator[TrialRecord]:
        """The trials of a search that have ended; what became of one is read once."""
        for trial in search.trials:
            if trial.ended:
                key = key_of(search.job, trial)
                if key not in self._tried or self._tried[key].trial != trial:
                    self._tried[key] = trial_record(search.job, trial, self._store)
                yield self._tried[key]

    def _put(self, record: Record, above: Run) -> Run:
        """The run that holds a record now."""
        run = self._runs.get(record.key)
        if run is None or not _current(run, record):
            epochs = record.epochs()
            run = self._open(record, epochs, above)
            self._fill(run, record, epochs)
        elif run.tags.get(PARENT) != above.id:
            self.server.write(run, (), {}, {PARENT: above.id})
            self._written.add(record.key)
        return run

    def _open(self, record: Record, epochs: tuple[Epoch, ...], above: Run | None) -> Run:
        """The run to write a record into: found, or made where there is none that can go on as this record."""
        run = self._runs.get(record.key)
        if run and _current(run, record):
            return run
        self._written.add(record.key)
        tags = {KEY: record.key, **self._whose, **record.tags()} | ({PARENT: above.id} if above else {})
        tags |= {"mlflow.source.type": "LOCAL", "mlflow.source.name": Path(self._spec.file).name}
        if run and not _continues(run, record, epochs):
            self._remove(run)
            run = None
        if run is None:
            run = self._runs[record.key] = self.server.create(record.title, record.began_ms, tags | whose())
            return run
        self.server.untag(run, WRITTEN, REASON)
        self.server.write(run, (), {}, tags)
        if record.status is Status.RUNNING and run.status != Status.RUNNING:
            self.server.reopen(run)
        return run

    def _fill(self, run: Run, record: Record, epochs: tuple[Epoch, ...]) -> None:
        """Write what the run lacks; where the record has ended, end the run, last of all."""
        if _current(run, record):
            return
        held = count(run.tags.get(EPOCHS, ""))
        points = [point for epoch in epochs[held:] for point in epoch.points]
        tags = {EPOCHS: mark(epochs)} if len(epochs) >= held else {}
        if record.status is not Status.RUNNING:
            if data := record.data():
                self.server.log_data(run, data)
            with tempfile.TemporaryDirectory(prefix="kd-") as folder:
                self.server.attach(run, record.files(Path(folder)))
            tags[WRITTEN] = record.fingerprint
        self.server.write(run, points + record.results(), record.params(), tags)
        if record.status is not Status.RUNNING:
            self.server.end(run, record.status, record.ended_ms)

    def _remove(self, run: Run) -> None:
        self.server.delete(run)
        self._removed += 1


def _current(run: Run, record: Record) -> bool:
    """Whether a run holds all that its record says."""
    if record.status is Status.RUNNING:
        return run.status == Status.RUNNING and EPOCHS in run.tags and count(run.tags[EPOCHS]) >= record.reported
    return run.tags.get(WRITTEN) == record.fingerprint and run.status == record.status


def _continues(run: Run, record: Record, epochs: tuple[Epoch, ...]) -> bool:
    """Whether a run can become what its record says: MLflow can neither change a param nor take a point back."""
    if record.sealed and run.status == Status.FINISHED and WRITTEN in run.tags:
        return False
    params, held = record.params(), run.tags.get(EPOCHS, "")
    if any(params.get(name) != value for name, value in run.params.items()):
        return False
    return not held or len(epochs) < count(held) or mark(epochs[: count(held)]) == held


def whose() -> dict[str, str]:
    """The tag of who made a run, which stays as it is whoever writes to it later; none where the system knows no name."""
    with contextlib.suppress(Exception):  # of many kinds, where a container's user has no entry
        return {"mlflow.user": os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()}
    return {}


def _worth(run: Run) -> tuple[bool, int, int, str]:
    """Of duplicates the complete one is kept, then the one with the most epochs, then the oldest."""
    return WRITTEN in run.tags and run.status != Status.RUNNING, count(run.tags.get(EPOCHS, "")), -run.began_ms, run.id
