"""Students as Ray Tune trials: one Tuner for a run, one trial per job, fed as jobs become ready.

Tune schedules, places, retries and reports; it remembers nothing that we need. A trial looks for its own checkpoint in the
store, and a rerun builds a new Tuner from what is missing: a restored Tuner lost results and doubled runs where we measured.
"""

from __future__ import annotations

import queue
import threading
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from orchestrator.executors.executor import Ended
from orchestrator.job import Job
from orchestrator.spec.spec import Share
from orchestrator.stages.runner import JobFailed, Place, run_job
from orchestrator.store import Scratch


class _Mailbox:
    """What the pipeline's thread and Tune's thread share. Tune pickles its searcher and callbacks: they hold only its name."""

    def __init__(self) -> None:
        self.ready: deque[str] = deque()
        self.ended: queue.Queue[tuple[str, str | None]] = queue.Queue()
        self.closed = False


_MAILBOXES: dict[str, _Mailbox] = {}


def _trial(config: dict[str, Any], jobs: dict[str, Job], places: dict[str, Place]) -> None:
    key = config["key"]

    def listen(progress: dict[str, Any]) -> None:
        if "accuracy" in progress:
            tune.report({name: progress[name] for name in ("epoch", "accuracy", "loss")})

    try:
        run_job(jobs[key], places[key], listen)
    except JobFailed as failure:  # trying again would fail again: not Tune's max_failures
        tune.report({"failure": str(failure)})
        return
    tune.report({"finished": True})


class _Feed(Searcher):
    """Suggests the jobs that are ready, in their order."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def suggest(self, trial_id: str) -> Any:
        mailbox = _MAILBOXES[self._name]
        if mailbox.ready:
            return {"key": mailbox.ready.popleft()}
        return Searcher.FINISHED if mailbox.closed else None

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass


class _Announce(tune.Callback):
    """Tells the pipeline of every trial that ended."""

    def __init__(self, name: str) -> None:
        self._name = name

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        _MAILBOXES[self._name].ended.put((trial.config["key"], trial.last_result.get("failure")))

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        _MAILBOXES[self._name].ended.put((trial.config["key"], f"its worker died {trial.num_failures} times"))


class _Silent(tune.ProgressReporter):
    """Our own progress is shown instead."""

    def should_report(self, trials: list, done: bool = False) -> bool:
        return False

    def report(self, trials: list, done: bool, *sys_info: str) -> None:
        pass


class Trials:
    """Args: ``jobs`` are all that may be submitted; ``share`` is what each trial gets; ``folder`` is
    for Tune's own state: it is emptied first, since a killed run leaves its own there, and removed at the end.

    A Tuner lives as long as a student is ready or runs. When none is, it ends, because an idle one would keep its cached
    workers, and with them resources that the jobs before the next students may be waiting for.
    """

    def __init__(
        self, jobs: list[Job], place: Callable[[Job], Place], share: Share, max_failures: int, folder: Scratch
    ) -> None:
        self._jobs = {job.key: job for job in jobs}
        self._folder = folder
        self._max_failures = max_failures
        folder.clear()
        trainable = tune.with_parameters(_trial, jobs=self._jobs, places={job.key: place(job) for job in jobs})
        self._trainable = tune.with_resources(trainable, {"cpu": share.cpus, "gpu": share.gpus})
        self._name = ""
        self._thread: threading.Thread | None = None
        self._broken: Exception | None = None
        self._open = 0

    def submit(self, job: Job) -> None:
        """Make the job a trial."""
        if not self._open:
            self._start()
        self._open += 1
        _MAILBOXES[self._name].ready.append(job.key)

    def poll(self, timeout: float) -> list[Ended]:
        """Trials that ended, waiting for one at most ``timeout`` seconds.

        Raises:
            RuntimeError: where Tune itself broke.
        """
        mailbox = _MAILBOXES[self._name]
        found: list[Ended] = []
        while len(found) < self._open:
            try:
                key, failure = mailbox.ended.get(block=not found and timeout > 0, timeout=timeout)
            except queue.Empty:
                break
            found.append(Ended(self._jobs[key], failure))
        self._open -= len(found)
        if self._broken and not found:
            raise RuntimeError(f"Ray Tune stopped: {self._broken}") from self._broken
        return found

    def settle(self) -> None:
        """End the Tuner where the end of its trials made no new one ready."""
        if not self._open and self._name:
            _MAILBOXES[self._name].closed = True

    @property
    def busy(self) -> bool:
        """Whether a trial runs or waits."""
        return self._open > 0

    def close(self) -> None:
        """End the Tuner: at once where all trials have ended; otherwise it goes down with Ray."""
        self.settle()
        if not self.busy:
            self._join()
        _MAILBOXES.pop(self._name, None)
        self._folder.clear()

    def _start(self) -> None:
        """Begin a Tuner, unless the last one still takes trials."""
        if self._name and not _MAILBOXES[self._name].closed:
            return
        self._join()
        _MAILBOXES.pop(self._name, None)
        self._name = uuid.uuid4().hex
        _MAILBOXES[self._name] = _Mailbox()
        tuner = tune.Tuner(
            self._trainable,
            tune_config=tune.TuneConfig(search_alg=_Feed(self._name), num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=self._folder.path,
                storage_filesystem=self._folder.filesystem,
                name=self._name,
                verbose=0,
                progress_reporter=_Silent(),
                callbacks=[_Announce(self._name)],
                failure_config=tune.FailureConfig(max_failures=self._max_failures),
            ),
        )
        self._thread = threading.Thread(target=self._fit, args=[tuner], name="ray-tune", daemon=True)
        self._thread.start()

    def _join(self) -> None:
        if self._thread:
            self._thread.join(timeout=60)

    def _fit(self, tuner: tune.Tuner) -> None:
        try:
            tuner.fit()
        except Exception as error:
            self._broken = error
