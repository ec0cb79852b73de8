"""Run one job where it is, and leave its result or its failure in the store. Every executor calls this function."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.job import Job
from orchestrator.stages.table import STAGES
from orchestrator.store import PROGRESS, Attempt, CorruptEntry, Store, Work


class JobFailed(RuntimeError):
    """The job failed in a way that trying again at once would repeat; the reason is in the store."""


@dataclass(frozen=True)
class Place:
    """Where a job runs. Nothing here is part of its key."""

    store: str  # an absolute path or a URI
    data_root: Path
    download: bool = False
    data_memory_gib: float = 4.0
    weights: Path | None = None  # of a teacher whose weights are given
    cpus: float = 1
    gpus: float = 0
    compile: bool = False
    deterministic: bool = True

    @property
    def device(self) -> str:
        """The device to compute on; Ray shows each worker the share of the GPUs that is its own."""
        return "cuda" if self.gpus else "cpu"


Progress = dict[str, Any]


class Context:
    """What a stage works with: the job's place, its attempt and a way to say how far it is."""

    def __init__(self, place: Place, store: Store, attempt: Attempt, listen: Callable[[Progress], None]) -> None:
        self.place = place
        self.store = store
        self.attempt = attempt
        self._listen = listen

    @property
    def work(self) -> Work:
        """What keeps this job's checkpoints."""
        return self.store.work(self.attempt.job)

    def say(self, **progress: Any) -> None:
        """Leave progress where ``kd status`` and the driver see it."""
        own = {"attempt": self.attempt.id, "pid": os.getpid(), "started": self.attempt.started, "updated": time.time()}
        progress = own | progress
        self.store.write_work(self.attempt.job, PROGRESS, progress)
        self._listen(progress)


def run_job(job: Job, place: Place, listen: Callable[[Progress], None] = lambda _: None) -> None:
    """Make the job's result exist; at once where it does already.

    Raises:
        JobFailed: where the stage raised; the store says why.
    """
    store = Store(place.store)
    try:
        if store.find(job.kind, job.key):
            return
        attempt = Attempt(store, job)
    except CorruptEntry:
        store.quarantine(job.kind, job.key)
        attempt = Attempt(store, job)
    context = Context(place, store, attempt, listen)
    try:
        with _process_as(place):
            context.say(epochs=job.epochs)
            results = STAGES[job.kind].function()(job, context)
            attempt.commit(results, results.pop("seconds", time.time() - attempt.started))
    except Exception as error:
        attempt.discard()
        with contextlib.suppress(OSError):  # a full disk, or a store that is away, must not hide what happened
            if store.find(job.kind, job.key):  # another attempt was faster
                return
            store.fail(job, describe(error))
        raise JobFailed(describe(error)["reason"]) from error
    store.clear(job)


def describe(error: Exception) -> dict[str, Any]:
    """A failure in plain words, with the trace for those who look."""
    known = {name: getattr(error, name) for name in ("epoch", "terms") if hasattr(error, name)}
    if isinstance(error, OSError) and error.strerror:
        reason = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        reason = str(error) or type(error).__name__
    return {"reason": reason, "type": type(error).__name__, "trace": "".join(traceback.format_exception(error)), **known}


@contextlib.contextmanager
def _process_as(place: Place) -> Iterator[None]:
    """Set this process's threads and determinism for a job, and put them back: workers are reused."""
    import torch

    if place.gpus and not torch.cuda.is_available():
        raise RuntimeError(f"resources ask for {place.gpus:g} GPU, but this process sees no CUDA device")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(max(1, int(place.cpus)))
    torch.use_deterministic_algorithms(place.deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = not place.deterministic
    if place.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
