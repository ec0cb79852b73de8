"""Students and the trials of searches as Ray Tune trials: one Tuner, which a dispatcher supplies with jobs as they get ready.

Tune places, retries and reports; it remembers nothing that we need. A trial looks for its own checkpoint in the store, and a
rerun builds a new Tuner from what is missing: a restored Tuner lost results and doubled runs where we measured.
"""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from orchestrator.executors.dispatcher import Dispatcher
from orchestrator.executors.executor import Ended
from orchestrator.executors.ray.private.idle_worker import keep_idle_worker
from orchestrator.executors.ray.private.trial_environment import withhold_credentials
from orchestrator.executors.ray.remote_error import last_line, times
from orchestrator.jobs.job import Job
from orchestrator.stages.runner import JobFailed, OutOfMemory, RunsElsewhere, run_job
from orchestrator.store.work import Scratch

withhold_credentials()

REPORTED = ("epoch", "accuracy", "loss", "seconds")


class _Channel:
    """From Tune's thread to the dispatcher. Tune pickles its searcher, scheduler and callbacks: these hold its name."""

    def __init__(self, dispatcher: Dispatcher, alive: Callable[[], None]) -> None:
        self.dispatcher = dispatcher
        self.alive = alive
        self.closed = False  # whether the Tuner gets nothing more


_CHANNELS: dict[str, _Channel] = {}


def _trial(config: dict[str, Any]) -> None:
    job, runtime = config["job"], config["runtime"]

    def report(progress: dict[str, object]) -> None:
        if "accuracy" in progress:
            tune.report({name: progress[name] for name in REPORTED})

    try:
        computed = run_job(job, runtime, report)
    except OutOfMemory as failure:
        tune.report({"failure": str(failure), "out_of_memory": True})
        return
    except RunsElsewhere as elsewhere:
        tune.report({"elsewhere": str(elsewhere)})
        return
    except JobFailed as failure:  # trying again would fail again: not Tune's max_failures
        tune.report({"failure": str(failure)})
        return
    tune.report({"computed": computed})


def _share(config: dict[str, Any]) -> tune.PlacementGroupFactory:
    return tune.PlacementGroupFactory([{"CPU": config["runtime"].cpus, "GPU": config["runtime"].gpus}])


class _DispatcherSearcher(Searcher):
    """Suggests what the dispatcher hands out."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def suggest(self, trial_id: str) -> Any:
        channel = _CHANNELS[self._name]
        if channel.closed:
            return Searcher.FINISHED
        taken = channel.dispatcher.take()
        return taken and {"key": taken[0].key, "job": taken[0], "runtime": taken[1]}

    def on_trial_complete(self, trial_id: str, result: dict[str, object] | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass


class _DispatcherScheduler(FIFOScheduler):
    """Ends the trials that the dispatcher stops early."""

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name

    def on_trial_result(self, tune_controller: object, trial: Any, result: dict[str, object]) -> str:
        dispatcher, key = _CHANNELS[self._name].dispatcher, trial.config["key"]
        if "accuracy" in result:
            dispatcher.note(key, **{name: result[name] for name in REPORTED})
        stops = dispatcher.report(key, result)
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The first that waits. A worker without a trial is let go where a job outside of Tune waits for its resources."""
        channel = _CHANNELS.get(self._name)  # none where all is being closed
        keep_idle_worker(tune_controller, keep=not channel or channel.dispatcher.floor == -math.inf)
        return super().choose_trial_to_run(tune_controller)


class _DispatcherCallback(tune.Callback):
    """Tells the dispatcher of every trial that begins or ended."""

    def __init__(self, name: str) -> None:
        self._name = name

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: object) -> None:
        _CHANNELS[self._name].dispatcher.note(trial.config["key"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: object) -> None:
        result = trial.last_result
        _CHANNELS[self._name].dispatcher.end(
            trial.config["key"],
            result.get("failure"),
            out_of_memory="out_of_memory" in result,
            elsewhere=result.get("elsewhere", ""),
            computed=result.get("computed", True),
            restarted=trial.num_failures > 0,
        )

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: object) -> None:
        channel = _CHANNELS[self._name]
        channel.alive()
        failure = f"its worker died {times(trial.num_failures)}({_told(trial)})"
        channel.dispatcher.end(trial.config["key"], failure)


def _told(trial: Any) -> str:
    """What Tune has written of a trial's errors; the last one is the last line."""
    try:
        return last_line(Path(trial.error_file).read_text())
    except (OSError, TypeError):
        return "Ray Tune does not say why"


class _Silent(tune.ProgressReporter):
    """Our own progress is shown instead."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: str) -> None:
        pass


class Trials:
    """Args: ``dispatcher`` hands out the jobs; ``folder``, reached by all nodes, is for Tune's own state: it is emptied first,
    since a killed run leaves its own there, and is of no use afterwards; ``alive`` is called before a worker is taken for dead,
    and returns only where its cluster lives.

    A Tuner lives as long as there is something to run. When there is not, it ends, because an idle one would keep its cached
    workers, and with them resources that the jobs before the next students may be waiting for.
    """

    def __init__(self, dispatcher: Dispatcher, max_failures: int, folder: Scratch, alive: Callable[[], None]) -> None:
        self._dispatcher = dispatcher
        self._folder = folder
        self._alive = alive
        self._max_failures = max_failures
        folder.clear()
        self._trainable = tune.with_resources(_trial, _share)
        self._name = ""
        self._thread: threading.Thread | None = None
        self._broken: Exception | None = None

    def submit(self, job: Job) -> None:
        """A student or a search that is ready."""
        self._dispatcher.submit(job)

    def poll(self, timeout: float) -> list[Ended]:
        """Jobs that ended, waiting for one at most ``timeout`` seconds.

        Raises:
            RuntimeError: where Tune itself broke.
        """
        found = self._dispatcher.ended(timeout)
        if self._broken and not found:
            raise RuntimeError(f"Ray Tune stopped: {last_line(self._broken)}") from self._broken
        return found

    def said(self) -> dict[str, dict[str, Any]]:
        """By key, what jobs at work have said of themselves since the last call."""
        return self._dispatcher.said()

    def settle(self, floor: float) -> None:
        """Have a Tuner where there is something to run, and none where there is not; what is below ``floor`` waits."""
        self._dispatcher.floor = floor
        if self._dispatcher.ready:
            self._start()
        elif self._dispatcher.idle and self._name:
            _CHANNELS[self._name].closed = True

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._dispatcher.open > 0

    def drain(self) -> list[Job]:
        """Begin nothing more; the jobs that are at work."""
        return self._dispatcher.drain()

    def close(self) -> None:
        """End the Tuner: at once where all trials have ended; otherwise it goes down with Ray."""
        if self._name:
            _CHANNELS[self._name].closed = True
        if self._dispatcher.idle:
            self._join()
        _CHANNELS.pop(self._name, None)
        self._dispatcher.close()

    def _start(self) -> None:
        """Begin a Tuner, unless the last one still takes trials."""
        if self._name and not _CHANNELS[self._name].closed:
            return
        self._join()
        _CHANNELS.pop(self._name, None)
        self._name = uuid.uuid4().hex
        _CHANNELS[self._name] = _Channel(self._dispatcher, self._alive)
        tuner = tune.Tuner(
            self._trainable,
            tune_config=tune.TuneConfig(
                search_alg=_DispatcherSearcher(self._name),
                scheduler=_DispatcherScheduler(self._name),
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=self._folder.path,
                storage_filesystem=self._folder.filesystem,
                name=self._name,
                verbose=0,
                progress_reporter=_Silent(),
                callbacks=[_DispatcherCallback(self._name)],
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
            self._alive()
            self._broken = error
