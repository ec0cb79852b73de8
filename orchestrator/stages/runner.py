"""Run one job where it is, and leave its result or its failure in the store. Every executor calls this function."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kd_core.data.place import Place
from kd_core.distributed import WorkerLost
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.jobs.visible import visible
from orchestrator.stages.record import recorded, results_line, said
from orchestrator.store.attempt import Attempt
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.files import meant
from orchestrator.store.logs import Log
from orchestrator.store.plugins import use_stated
from orchestrator.store.store import PROGRESS, Store
from orchestrator.store.work import Work

WARN = 1  # torch's number for deterministic kernels where there are some, and a warning where not
NO_MEMORY = ("std::bad_alloc", "DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")


class RunsElsewhere(Exception):
    """Another worker does the job at this moment; the text says which."""


class Stopped(BaseException):
    """Raised by who listens to a job's progress: it ends there, and nothing is left of it but its checkpoints."""


class JobFailed(RuntimeError):
    """The job failed in a way that trying again at once would repeat; the reason is in the store."""


class OutOfMemory(JobFailed):
    """The job's share of a GPU was too small for it: trying again with a larger one may help."""


@dataclass(frozen=True)
class Runtime:
    """Where a job runs. Nothing here is part of its key."""

    store: str  # an absolute path or a URI
    place: Place = Place()  # of the data
    weights: Path | None = None  # of a teacher whose weights are given
    cpus: float = 1
    gpus: float = 0
    workers: int = 1  # that share the job, each with so many cpus and gpus
    too_small: tuple[float, ...] = ()  # shares of a GPU whose memory it ran out of before
    compile: bool = False
    deterministic: bool = True
    measured: bool = False  # whether what it uses of the machine is recorded

    @property
    def device(self) -> str:
        """The device to compute on; Ray shows each worker the share of the GPUs that is its own."""
        return "cuda" if self.gpus else "cpu"

    @property
    def resources(self) -> dict[str, Any]:
        """What a manifest remembers of the share."""
        granted = {"cpus": self.cpus, "gpus": self.gpus, "workers": self.workers}
        return {**granted, "out_of_memory": len(self.too_small)}


Progress = dict[str, Any]


class Context:
    """What a stage works with: the job's runtime, its attempt, its log and a way to say how far it is."""

    def __init__(self, runtime: Runtime, store: Store, attempt: Attempt, log: Log, listen: Callable[[Progress], None]) -> None:
        self.runtime = runtime
        self.store = store
        self.attempt = attempt
        self.log = log
        self._listen = listen
        self._kept = -math.inf  # when the store was told last, by the monotonic clock

    @property
    def work(self) -> Work:
        """What keeps this job's checkpoints."""
        return self.store.work(self.attempt.job)

    def say(self, **progress: object) -> None:
        """Tell who listens, and leave it where ``kd status`` and other runs see it: in a store that is far away no more often
        than is useful, since each time is a request."""
        own = {"attempt": self.attempt.id, "pid": os.getpid(), "started": self.attempt.started, "updated": time.time()}
        progress = own | progress
        if (now := time.monotonic()) - self._kept >= self.store.backend.pause_s:
            self._kept = now
            self.store.write_work(self.attempt.job, PROGRESS, progress, durable=False)
        if line := said(progress):
            self.log.add(line)
        self.log.flush_now_and_then()
        self._listen(progress)


class Follower(Context):
    """What a worker works with that helps another with its job: it reads what that one does and writes nothing."""

    def __init__(self, runtime: Runtime, store: Store, job: Job) -> None:
        self.runtime = runtime
        self.store = store
        self._job = job

    @property
    def work(self) -> Work:
        return self.store.work(self._job)

    def say(self, **progress: object) -> None:
        """The other one says it."""


def run_job(job: Job, runtime: Runtime, listen: Callable[[Progress], None] = lambda _: None) -> bool:
    """Make the job's result exist; whether it had to be made.

    Raises:
        JobFailed: where the stage raised, or the store cannot be used; the store says why where it can.
        OutOfMemory: where it did so for want of GPU memory.
        RunsElsewhere: where another worker does the job.
        WorkerLost: where another worker that shares the job is gone.
    """
    with working_on(job, runtime):
        return do_job(job, runtime, listen)


@contextlib.contextmanager
def working_on(job: Job, runtime: Runtime) -> Iterator[None]:
    """Hold the job's lock while the block runs.

    Raises:
        RunsElsewhere: where another worker holds it.
        JobFailed: where the store cannot be used.
    """
    with contextlib.ExitStack() as stack:
        store = Store(runtime.store)
        try:
            held = stack.enter_context(store.lock_job(job))
            holder = None if held else store.worker(job)
        except Exception as error:
            raise _failed(job, runtime, store, error) from error
        if not held:
            raise RunsElsewhere(str(holder or "another process"))
        yield


def do_job(job: Job, runtime: Runtime, listen: Callable[[Progress], None] = lambda _: None) -> bool:
    """What :func:`run_job` does, for who holds the job's lock."""
    store = Store(runtime.store)
    try:
        attempt = _begin(job, store)
        if not attempt:
            store.clear(job)  # what was left by a worker that was killed once it had committed
            return False
    except Exception as error:
        raise _failed(job, runtime, store, error) from error
    log = store.log(attempt)
    context = Context(runtime, store, attempt, log, listen)
    try:
        with recorded(log, job, runtime.resources):
            if "torch" not in sys.modules:
                context.say(epochs=job.epochs, doing="importing torch")  # which takes seconds in a fresh process
            with _process_as(runtime):
                context.say(epochs=job.epochs)
                use_stated(job.config, store)
                results = KINDS[job.kind].run(job, context)
                log.add(results_line(results))
                taken = {**runtime.resources, "peak_memory": _peak_memory()}
                attempt.commit(results, results.pop("seconds", time.time() - attempt.started), taken)
    except WorkerLost:
        attempt.discard()
        raise
    except Exception as error:
        attempt.discard()
        with contextlib.suppress(OSError, CorruptEntry):  # a store that is away must not hide what happened
            if store.find(job.kind, job.key):  # another attempt was faster
                store.clear(job)
                return False
        raise _failed(job, runtime, store, error) from error
    except BaseException:  # stopped from outside, or in Tune, whose sessions end by SystemExit
        attempt.discard()
        raise
    store.clear(job)
    return True


def _begin(job: Job, store: Store) -> Attempt | None:
    """An attempt at the job; None where its result exists. What is corrupt is put aside."""
    with contextlib.suppress(CorruptEntry):
        return None if store.find(job.kind, job.key) else store.begin(job)
    store.quarantine(job.kind, job.key)
    return None if store.find(job.kind, job.key) else store.begin(job)


def follow_job(job: Job, runtime: Runtime) -> None:
    """Do this worker's part of a job that another one of the group runs; nothing is written but why it failed.

    Raises:
        JobFailed, OutOfMemory, WorkerLost: as :func:`run_job` does.
    """
    store = Store(runtime.store)
    try:
        with _process_as(runtime):
            use_stated(job.config, store)
            KINDS[job.kind].run(job, Follower(runtime, store, job))
    except WorkerLost:
        raise
    except Exception as error:
        raise _failed(job, runtime, store, error) from error


def _failed(job: Job, runtime: Runtime, store: Store, error: Exception) -> JobFailed:
    """Remember in the store why a job failed, and say it by the right exception."""
    failure = describe(error, runtime)
    with contextlib.suppress(OSError):  # a full disk, or a store that is away, must not hide what happened
        store.fail(job, failure)
    if not ran_out(error):
        return JobFailed(failure["reason"])
    give_back_memory(error)
    return OutOfMemory(failure["reason"])


def ran_out(error: BaseException) -> bool:
    """Whether an error says that a GPU's memory is full: torch's allocator, or what bypasses it, in words."""
    import torch

    words = ("cuda out of memory", "cuda error: out of memory", "cublas_status_alloc_failed")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(each in str(error).lower() for each in words)
    )


def give_back_memory(error: BaseException) -> None:
    """Let go of what the failed job's frames hold, and of torch's cache, so that its neighbours on the GPU can have it."""
    import torch

    traceback.clear_frames(error.__traceback__)
    torch.cuda.empty_cache()


def describe(error: Exception, runtime: Runtime) -> dict[str, Any]:
    """A failure in plain words, with the trace for those who look."""
    known = {name: getattr(error, name) for name in ("epoch", "terms") if hasattr(error, name)}
    if ran_out(error):
        tried = ", then ".join(f"{gpus:g}" for gpus in (*runtime.too_small, runtime.gpus))
        reason = f"out of GPU memory with {tried} GPU ({str(error).partition('. ')[0]}); a smaller batch_size takes less"
    elif isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
        reason = f"out of main memory ({str(error).strip().splitlines()[-1] if str(error).strip() else 'MemoryError'})"
    elif isinstance(error, OSError) and error.strerror:
        reason = f"{error.strerror}: {meant(error.filename)}" if error.filename else error.strerror
    else:
        reason = str(error) or type(error).__name__
    return {
        "reason": visible(reason),
        "type": type(error).__name__,
        "trace": "".join(traceback.format_exception(error)),
        **known,
    }


@contextlib.contextmanager
def _process_as(runtime: Runtime) -> Iterator[None]:
    """Set this process's threads and determinism for a job, and put them back: workers are reused."""
    import torch

    if runtime.gpus and not torch.cuda.is_available():
        raise RuntimeError(f"resources ask for {runtime.gpus:g} GPU, but this process sees no CUDA device")
    before = torch.get_deterministic_debug_mode()
    _deterministic(WARN if runtime.deterministic else 0, runtime)
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    torch.backends.cudnn.benchmark = not runtime.deterministic
    if runtime.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        with _threads(max(1, int(runtime.cpus))):
            yield
    finally:
        _deterministic(before, runtime)


def _deterministic(mode: int, runtime: Runtime) -> None:
    """Ask torch for deterministic kernels: 0 not, WARN where there are some. ``use_deterministic_algorithms`` tells torch's
    compiler too, and imports it for that (four seconds), which is left to jobs that use it."""
    import torch

    if runtime.compile:
        torch.use_deterministic_algorithms(mode > 0, warn_only=mode <= WARN)
    else:
        torch.set_deterministic_debug_mode(mode)


def _peak_memory() -> int:
    """The most memory that was in use, bytes: on a GPU, of the job's tensors; elsewhere of this process, which may have done
    other jobs before."""
    import torch

    if torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Give torch, Arrow, and the BLAS and OpenMP of NumPy, SciPy and scikit-learn so many threads: jobs share a machine."""
    import pyarrow as pa
    import scipy.linalg  # noqa: F401  pools are known once they are loaded
    import torch

    before, arrow = torch.get_num_threads(), pa.cpu_count()
    torch.set_num_threads(count)
    pa.set_cpu_count(count)
    try:
        with _thread_pools(len(sys.modules)).limit(limits=count):
            yield
    finally:
        torch.set_num_threads(before)
        pa.set_cpu_count(arrow)


@functools.lru_cache(maxsize=1)
def _thread_pools(modules: int) -> Any:
    """The libraries with threads of their own that this process has loaded; looked for again where modules were imported."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()
