"""Hands out what can run as a trial now: students that are ready, and the trials of open searches.

Both executors work from a dispatcher. Each search is a study of its own, with its own suggestions and its own early stopping,
and all of them share the resources: the study with the fewest trials at work is served first, students when they are of higher
priority.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from kd_core.training.checkpoint import Checkpoints
from kd_core.training.metrics import VALIDATION_ACCURACY
from orchestrator.executors.early_stopping import EarlyStopping, EarlyStoppingOf
from orchestrator.executors.executor import LOOK_AGAIN_S, Ended
from orchestrator.executors.memory_retry import larger_allocation
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.search.study import Study
from orchestrator.search.trial import AT_WORK, DONE, FAILED, STOPPED, Trial, shown
from orchestrator.stages.runner import JobFailed, RunsElsewhere, Runtime, do_job, working_on
from orchestrator.store.artifacts import HISTORY
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store


@dataclass
class _AtWork:
    """A trial that was handed out, and what it has reported."""

    study: Study
    stopping: EarlyStopping
    trial: Trial
    job: Job
    accuracies: dict[int, float] = field(default_factory=dict)  # by epoch, from 1
    seconds: float = 0.0
    stopped: bool = False
    said: dict[str, Any] = field(default_factory=dict)  # of itself, last


class Dispatcher:
    """Safe to use from two threads.

    Args:
        runtime: what a job finds where it runs.
        early_stopping_of: gives what ends the trials of a search early.
        priority: what is higher goes first.
    """

    def __init__(
        self,
        store: Store,
        runtime: Callable[[Job], Runtime],
        early_stopping_of: EarlyStoppingOf,
        priority: Callable[[Job], float] = lambda job: 0.0,
    ) -> None:
        self.floor = -math.inf  # nothing of lower priority is handed out for now
        self._store = store
        self.runtime = runtime
        self._early_stopping_of = early_stopping_of
        self._priority = priority
        self._lock = threading.RLock()
        self._order = itertools.count()
        self._students: list[tuple[float, int, Job]] = []  # a heap
        self._studies: dict[str, tuple[Study, EarlyStopping]] = {}
        self._locks: dict[str, contextlib.ExitStack] = {}  # of the searches that are open
        self._trials: dict[str, _AtWork] = {}
        self._at_work: dict[str, tuple[Job, Runtime]] = {}
        self._retries: deque[tuple[Job, Runtime]] = deque()  # with a larger allocation
        self._ended: deque[Ended] = deque()
        self._finished: deque[Job] = deque()  # searches whose trials have all ended
        self._said: dict[str, dict[str, Any]] = {}  # since it was asked for
        self._shown: dict[str, dict[str, Any]] = {}  # of searches, what was given of them last
        self._changed = threading.Event()
        self._drained = False  # nothing more is handed out
        self.open = 0  # jobs that were submitted and are not among those that :meth:`ended` gave

    def submit(self, job: Job) -> None:
        """A student or a search whose ancestors are done."""
        with self._lock:
            self.open += 1
            if KINDS[job.kind].of_trials:
                self._open(job)
            else:
                heapq.heappush(self._students, (-self._priority(job), next(self._order), job))

    def take(self) -> tuple[Job, Runtime] | None:
        """The next job to run, a student or a trial, and where; None where there is none now."""
        with self._lock:
            if self._retry_is_due:
                job, runtime = self._retries.popleft()
            elif found := self._trial() or self._student():
                job, runtime = found, self.runtime(found)
            else:
                return None
            self._at_work[job.key] = job, runtime
            return job, runtime

    @property
    def idle(self) -> bool:
        """Whether nothing is at work."""
        return not self._at_work

    @property
    def ready(self) -> bool:
        """Whether there is something to hand out, as far as is known without asking the studies."""
        with self._lock:
            studies = [study for study, _ in self._studies.values()]
            return self._retry_is_due or self._student_is_due or any(self._takes_another(study) for study in studies)

    def note(self, key: str, **progress: Any) -> None:
        """A job that was handed out is at work, and says so much of itself."""
        with self._lock:
            said = {"updated": time.time(), **progress}
            if found := self._trials.get(key):
                found.said = said
                self._shown.pop(found.study.job.key, None)
            else:
                self._said[key] = said

    def said(self) -> dict[str, dict[str, Any]]:
        """By key, what was noted since the last call; of a search what is new, and what its trials at work said last."""
        with self._lock:
            found, self._said = self._said, {}
            for study, _ in self._studies.values():
                if study.progress is not self._shown.get(study.job.key):
                    self._shown[study.job.key] = study.progress
                    found[study.job.key] = {**study.progress, AT_WORK: self._trials_of(study)}
            return found

    def report(self, key: str, progress: dict[str, Any]) -> bool:
        """An epoch of a job has ended; whether the job ends here."""
        with self._lock:
            found = self._trials.get(key)
            if found is None or "accuracy" not in progress:
                return False
            if found.stopped:  # it was told so, and had gone on meanwhile: nothing of that counts
                return True
            epoch, accuracy = progress["epoch"], progress["accuracy"]
            found.accuracies[epoch] = accuracy
            found.seconds += progress.get("seconds", 0.0)
            found.stopped = found.stopping.stops(found.trial.number, epoch, accuracy)
            return found.stopped

    def end(
        self,
        key: str,
        failure: str | None = None,
        *,
        out_of_memory: bool = False,
        elsewhere: str = "",
        computed: bool = True,
        restarted: bool = False,
    ) -> None:
        """A job that was handed out has come to its end: for want of GPU memory where it did not get its last chance yet, or
        because a worker outside this run does it (``elsewhere``, in words)."""
        with self._lock:
            job, runtime = self._at_work.pop(key)
            if out_of_memory and (wider := larger_allocation(runtime)):
                self._retries.append((job, wider))
                return
            found = self._trials.pop(key, None)
            if found is None:
                self._ended.append(Ended(job, failure, elsewhere, computed, restarted))
            elif elsewhere:
                found.study.put_back(found.trial, LOOK_AGAIN_S)
            elif found.study.job.key in self._studies:
                try:
                    self._record(found, failure)
                except OSError as error:
                    self._give_up(found.study, error)
                self._close_where_finished(found.study)
            self._changed.set()

    def ended(self, timeout: float = 0) -> list[Ended]:
        """The submitted jobs that have ended since the last call; waits for one, ``timeout`` seconds at most."""
        if timeout > 0:
            self._changed.wait(timeout)
        with self._lock:
            self._changed.clear()
            found, finished = list(self._ended), list(self._finished)
            self._ended.clear()
            self._finished.clear()
            self.open -= len(found) + len(finished)
        return found + [self._closed(search) for search in finished]

    def drain(self) -> list[Job]:
        """Hand out nothing more; the jobs that are at work."""
        with self._lock:
            self._drained = True
            return [job for job, _ in self._at_work.values()]

    def close(self) -> None:
        """Let go of the searches, for other runs to go on with."""
        with self._lock:
            for lock in self._locks.values():
                lock.close()
            self._locks.clear()

    def _trials_of(self, study: Study) -> list[dict[str, Any]]:
        mine = [each for each in self._trials.values() if each.study is study]
        return [shown(each.trial, study.epochs, each.said) for each in sorted(mine, key=lambda each: each.trial.number)]

    def _open(self, job: Job) -> None:
        """Begin a search, or go on with it, unless another run is at it."""
        lock = contextlib.ExitStack()
        try:
            lock.enter_context(working_on(job, self.runtime(job)))
            self._locks[job.key] = lock
            study = Study(job, self._store)
        except RunsElsewhere as elsewhere:
            self._tell(Ended(job, elsewhere=str(elsewhere)))
            return
        except (JobFailed, OSError) as failure:
            self._locks.pop(job.key, lock).close()
            self._tell(Ended(job, str(failure)))
            return
        stopping = self._early_stopping_of(study.how, study.epochs)
        for trial in study.trials:
            for epoch, accuracy in enumerate(trial.accuracies if trial.ended else (), start=1):
                stopping.stops(trial.number, epoch, accuracy)
        self._studies[job.key] = study, stopping
        self._close_where_finished(study)

    def _due(self, job: Job) -> bool:
        """Whether a job may be handed out now: a trial has the priority of its search."""
        trial = self._trials.get(job.key)
        return not self._drained and self._priority(trial.study.job if trial else job) >= self.floor

    @property
    def _retry_is_due(self) -> bool:
        return bool(self._retries) and self._due(self._retries[0][0])

    @property
    def _student_is_due(self) -> bool:
        return bool(self._students) and self._due(self._students[0][2])

    def _student(self) -> Job | None:
        return heapq.heappop(self._students)[2] if self._student_is_due else None

    def _trial(self) -> Job | None:
        due = [pair for pair in self._studies.values() if self._due(pair[0].job)]
        for study, stopping in sorted(due, key=lambda pair: (pair[0].running, -self._priority(pair[0].job))):
            if self._students and -self._students[0][0] > self._priority(study.job):
                return None
            try:
                trial = study.ask()
            except OSError as error:
                self._give_up(study, error)
                continue
            if trial is None:
                self._close_where_finished(study)
                continue
            job = study.job_of(trial)
            if job.key in self._trials:  # another study tries the same values: its result will be there
                study.put_back(trial, LOOK_AGAIN_S)
                continue
            found = self._started(study, stopping, trial, job)
            if found.stopped:  # by what it did before the run was killed
                self._record(found, None)
                self._close_where_finished(study)
                return self._trial()
            self._trials[job.key] = found
            return job
        return None

    def _started(self, study: Study, stopping: EarlyStopping, trial: Trial, job: Job) -> _AtWork:
        """A trial that begins, or goes on from its checkpoint."""
        found = _AtWork(study, stopping, trial, job)
        checkpoint = Checkpoints(self._store.work(job)).newest()
        for record in checkpoint.history if checkpoint else ():
            found.accuracies[record.epoch] = record.metrics[VALIDATION_ACCURACY]
            found.seconds += record.seconds
            if stopping.stops(trial.number, record.epoch, record.metrics[VALIDATION_ACCURACY]):
                found.stopped = True
                break
        return found

    def _takes_another(self, study: Study) -> bool:
        free = study.how.parallel is None or study.running < study.how.parallel
        return free and not study.finished and self._due(study.job)

    def _record(self, found: _AtWork, failure: str | None) -> None:
        """Write down how a trial ended: what is in the store counts more than what was reported, unless it was to be stopped
        and only went on until it heard of it."""
        try:
            entry = self._store.find("trial", found.job.key)
        except CorruptEntry as error:
            entry, failure = None, failure or str(error)
        if entry and not found.stopped:
            rows = [row for row in HISTORY.read(entry).to_pylist() if row["name"] == VALIDATION_ACCURACY]
            accuracies = [row["value"] for row in sorted(rows, key=lambda row: row["epoch"])]
            found.study.tell(found.trial.number, DONE, accuracies, entry.manifest["seconds"])
            return
        accuracies = [accuracy for _, accuracy in sorted(found.accuracies.items())]
        state = STOPPED if found.stopped and not failure else FAILED
        reason = "" if state == STOPPED else failure or "it ended without a result"
        found.study.tell(found.trial.number, state, accuracies, found.seconds, reason)
        self._store.discard_work(found.job)

    def _give_up(self, study: Study, error: OSError) -> None:
        """End a search whose journal cannot be written: what its trials have done stays, for the next run to go on with."""
        del self._studies[study.job.key]
        self._locks.pop(study.job.key).close()
        self._tell(Ended(study.job, str(error)))

    def _tell(self, end: Ended) -> None:
        self._ended.append(end)
        self._changed.set()

    def _close_where_finished(self, study: Study) -> None:
        if study.finished and study.job.key in self._studies:
            del self._studies[study.job.key]
            self._finished.append(study.job)
            self._changed.set()

    def _closed(self, search: Job) -> Ended:
        """Have the search's own result made, here, where nothing is computed."""
        with self._locks.pop(search.key):
            try:
                return Ended(search, computed=do_job(search, replace(self.runtime(search), gpus=0)))
            except JobFailed as failure:
                return Ended(search, str(failure))
