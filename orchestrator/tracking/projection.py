"""The store, projected into MLflow: one run for each job, one for each trial of a search, below the search's, and one for the
experiment, however often it is repeated.

A run that bears its record's fingerprint is complete and is not touched again. Everything else is found by ``kd.key`` and
brought up to date; a mark of the epochs that it holds lets a run that grows receive only what is new.
"""

from __future__ import annotations

import contextlib
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
from orchestrator.tracking.experiment_record import Artifacts, ExperimentRecord
from orchestrator.tracking.failure import Busy, TrackingError, sentence
from orchestrator.tracking.history import Epoch, count, mark
from orchestrator.tracking.job_record import JobRecord, record_of, with_trials
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.record import Record, Status
from orchestrator.tracking.server import Run, Server, failures, settings
from orchestrator.tracking.trial_record import TrialRecord, key_of, trial_record

KEY, PARENT, REASON = "kd.key", "mlflow.parentRunId", "kd.reason"
EPOCHS = "kd.epochs"  # the mark of the epochs in the run
WRITTEN = "kd.written"  # the fingerprint of what the run holds; set last


@dataclass(frozen=True)
class Summary:
    """What a projection did, in runs: one for each job that has begun, each trial that has ended, and the experiment."""

    written: int
    unchanged: int
    removed: int  # duplicates, and runs that held something else than the store does

    def __str__(self) -> str:
        removed = f", {self.removed} removed" if self.removed else ""
        return f"{self.written} runs written, {self.unchanged} unchanged{removed}"


def project(
    spec: Spec,
    plan: Plan,
    store: Store,
    *,
    running: Collection[str] = (),
    artifacts: Artifacts | None = None,
    rebuild: bool = False,
) -> Summary:
    """Write into MLflow what it does not hold yet.

    Args:
        running: keys of the jobs at work now.
        artifacts: writes the experiment's own artifacts; by default :func:`orchestrator.tracking.attachments.attach`.
        rebuild: whether to remove the experiment's runs first.

    Raises:
        TrackingError: where MLflow fails, or another process writes the same runs.
    """
    try:
        with settings(), opened(spec, plan, store, artifacts) as projection:
            if rebuild:
                projection.clear()
            return projection.sync(running, active=bool(running))
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
        yield Projection(spec, plan, store, server, artifacts or partial(attach, plan, store))


class Projection:
    """An experiment and its runs. Nobody else may write these meanwhile: see :func:`opened`."""

    def __init__(self, spec: Spec, plan: Plan, store: Store, server: Server, artifacts: Artifacts) -> None:
        self._spec = spec
        self._store = store
        self._server = server
        self._artifacts = artifacts
        self._jobs = [job for job in plan if KINDS[job.kind].tracked]
        self._finished: dict[str, JobRecord] = {}  # what cannot change any more is read once
        self._told: dict[str, dict[str, Trial]] = {}  # by search, its trials that have ended
        self._tried: dict[str, TrialRecord] = {}
        self._runs: dict[str, Run] = {}
        self._written: set[str] = set()
        self._removed = 0
        self._whose = {"kd.experiment": spec.name, "kd.store": store.identity()}
        for run in sorted(server.runs(self._whose), key=_worth, reverse=True):
            if self._runs.setdefault(run.tags[KEY], run) is not run:
                self._remove(run)

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
            parent = ExperimentRecord(self._spec, len(self._jobs), jobs, active, self._artifacts)
            keys = {parent.key, *(record.key for record in jobs)}
            above = self._open(parent, (), None)
            for record in jobs:
                run = self._put(record, above)
                for trial in self._trials(record):
                    keys.add(trial.key)
                    self._put(trial, run)
            self._fill(above, parent, ())
        for key, run in self._runs.items():
            if run.status == Status.RUNNING and key not in keys:
                self._server.end(run, Status.KILLED, int(1000 * time.time()))
                self._written.add(key)
        summary = Summary(len(self._written), len(keys - self._written), self._removed)
        self._written, self._removed = set(), 0
        return summary

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
            self._server.write(run, (), {}, {PARENT: above.id})
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
            run = self._runs[record.key] = self._server.create(record.title, record.began_ms, tags)
            return run
        self._server.untag(run, WRITTEN, REASON)
        self._server.write(run, (), {}, tags)
        if record.status is Status.RUNNING and run.status != Status.RUNNING:
            self._server.reopen(run)
        return run

    def _fill(self, run: Run, record: Record, epochs: tuple[Epoch, ...]) -> None:
        """Write what the run lacks; where the record has ended, end the run, and say last that it is complete."""
        if _current(run, record):
            return
        held = count(run.tags.get(EPOCHS, ""))
        points = [point for epoch in epochs[held:] for point in epoch.points]
        self._server.write(
            run, points + record.results(), record.params(), {EPOCHS: mark(epochs)} if len(epochs) >= held else {}
        )
        if record.status is Status.RUNNING:
            return
        with tempfile.TemporaryDirectory(prefix="kd-") as folder:
            self._server.attach(run, record.files(Path(folder)))
        self._server.end(run, record.status, record.ended_ms)
        self._server.write(run, (), {}, {WRITTEN: record.fingerprint})

    def _remove(self, run: Run) -> None:
        self._server.delete(run)
        self._removed += 1


def _current(run: Run, record: Record) -> bool:
    """Whether a run holds all that its record says."""
    if record.status is Status.RUNNING:
        return run.status == Status.RUNNING and EPOCHS in run.tags and count(run.tags[EPOCHS]) >= record.reported
    return run.tags.get(WRITTEN) == record.fingerprint


def _continues(run: Run, record: Record, epochs: tuple[Epoch, ...]) -> bool:
    """Whether a run can become what its record says: MLflow can neither change a param nor take a point back."""
    if record.sealed and run.status == Status.FINISHED and WRITTEN in run.tags:
        return False
    params, held = record.params(), run.tags.get(EPOCHS, "")
    if any(params.get(name) != value for name, value in run.params.items()):
        return False
    return not held or len(epochs) < count(held) or mark(epochs[: count(held)]) == held


def _worth(run: Run) -> tuple[bool, int, int, str]:
    """Of duplicates the complete one is kept, then the one with the most epochs, then the oldest."""
    return WRITTEN in run.tags, count(run.tags.get(EPOCHS, "")), -run.began_ms, run.id
