"""The pipeline: a spec in, tables out. Does what is missing, goes on with what is half done, leaves the rest alone."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_core.plugins.tables import known, use
from orchestrator.executors.executor import LOOK_AGAIN_S, CannotRun, Ended, Executor
from orchestrator.executors.notice import Notice, OutOfTime
from orchestrator.executors.runtimes import Runtimes
from orchestrator.executors.worker import Tries
from orchestrator.experiment.load import load
from orchestrator.experiment.spec import Spec
from orchestrator.jobs.job import Job, JobName
from orchestrator.jobs.kinds import KINDS
from orchestrator.jobs.visible import visible
from orchestrator.outcome import Outcome
from orchestrator.planning.board import Board
from orchestrator.planning.estimate import Estimator
from orchestrator.planning.plan import Plan, make
from orchestrator.planning.presence import at_work_since, run_lock, worker_lock
from orchestrator.planning.schedule import priorities
from orchestrator.planning.snapshot import Snapshot, Waits, Watch
from orchestrator.planning.state import State, checkpointed
from orchestrator.readiness import changed_images, check_data, check_weights, entry_or_quarantine, sweep, verify_entries
from orchestrator.store.entry import Entry
from orchestrator.store.errors import StoreError
from orchestrator.store.given import remember
from orchestrator.store.plugins import keep
from orchestrator.store.store import Store

if TYPE_CHECKING:
    from orchestrator.executors.inline import Around

TICK_S = 0.5  # between two looks at running jobs
FLUSH_S = 60  # longest wait for MLflow at the end


def run(
    source: Spec | str | Path,
    *,
    executor: str = "ray",
    address: str | None = None,
    nodes: int = 1,
    overrides: Sequence[str] = (),
    store: str | None = None,
    watch: Watch = lambda snapshot: None,
    waits: Waits = lambda what: None,
    notice: Notice | None = None,
) -> Outcome:
    """Run an experiment to its end.

    Args:
        source: a spec, or a YAML file (then ``overrides`` and ``store`` apply as ``--set`` and ``--store`` do).
        executor: "ray" or "inline".
        address: of a Ray cluster to join; None starts a private one.
        nodes: so many of it are waited for at first, for two minutes at most.
        watch: called with a snapshot whenever something changed, and about twice a second.
        waits: called with what is waited for whenever no job can be at work.
        notice: where it is given, the run ends soon, and in order.

    Raises:
        ValueError: SpecError, StoreError, DataError or CannotRun, each with what to do; before anything is trained.
    """
    spec = source if isinstance(source, Spec) else load(source, overrides, store)
    if executor not in ("ray", "inline"):
        raise CannotRun(f"executor must be ray or inline, but got {executor}")
    lock = run_lock(spec.name)
    with _opened(spec, lock, waits) as (plan, results, held):
        if not held:
            who = results.holder(lock) or "another process"
            raise StoreError(f"another `kd run` of {spec.name} is at work on {results.location} ({who}); `kd status` shows it")
        done, notes = verify_entries(plan, results, waits)
        sweep(plan, results, done)
        work = _Run(spec, plan, results, done, notes, watch, waits, notice or Notice())
        with work.tracked():
            if work.missing:
                with contextlib.closing(
                    work.executor(executor, address, nodes)
                ) as runner:  # Ray starts while the data are read
                    notes += check_data(spec, results, waits)
                    notes += check_weights(work.missing, work.runtimes.weights_of)
                    work.go(runner)
            else:
                notes += changed_images(spec, results)
        return work.outcome()


def share(
    source: Spec | str | Path,
    *,
    idle_s: float = math.inf,
    overrides: Sequence[str] = (),
    store: str | None = None,
    watch: Watch = lambda snapshot: None,
    waits: Waits = lambda what: None,
    notice: Notice | None = None,
) -> Outcome:
    """Work on an experiment beside any number of others: take what is ready and nobody does, run it inline, until nothing is
    left or nothing could be taken for ``idle_s`` seconds. MLflow is left to `kd run` and `kd track`, which write alone.

    Raises:
        ValueError: SpecError, StoreError, DataError or CannotRun, each with what to do; before anything is trained.
    """
    spec = source if isinstance(source, Spec) else load(source, overrides, store)
    with _opened(spec, worker_lock(spec.name), waits) as (plan, results, _):
        since = at_work_since(spec.name, results)
        tries = Tries(results, time.time() if since is None else since, spec.resources.max_failures + 1)
        done, notes = verify_entries(plan, results, waits)
        sweep(plan, results, done)
        work = _Run(spec, plan, results, done, notes, watch, waits, notice or Notice(), tries, idle_s)
        if work.missing:
            one_downloads = results.awaited(f"data-{spec.name}") if spec.place.download else contextlib.nullcontext()
            with one_downloads:
                notes += check_data(spec, results, waits)
            notes += check_weights(work.missing, work.runtimes.weights_of)
            with contextlib.closing(work.inline()) as runner:
                work.go(runner)
        return work.outcome()


@contextlib.contextmanager
def _opened(spec: Spec, lock: str, waits: Waits) -> Iterator[tuple[Plan, Store, bool]]:
    """The plan and the store of an experiment, with its plugins in force; while the block runs, the lock is held, if it could
    be had."""
    plugins = [known(plugin.sha256) for plugin in spec.plugins]
    use(plugins)
    plan, results = make(spec), Store(spec.store)
    waits("looking into the store")
    results.prepare()
    for plugin in plugins:
        keep(plugin, results)
    for weights in filter(None, (teacher.weights for teacher in spec.teachers)):
        if weights.written and weights.sha256:
            remember(spec.name, weights.written, weights.sha256, results)
    with results.lock(lock) as held:
        yield plan, results, held


@dataclass
class _Run:
    """The state of one run: which jobs wait, run, are done or failed."""

    spec: Spec
    plan: Plan
    store: Store
    done: set[str]
    notes: list[str]
    watch: Watch
    waits: Waits
    notice: Notice
    tries: Tries | None = None  # of a worker beside others
    idle_s: float = math.inf
    in_flight: set[str] = field(default_factory=set)  # keys of what was submitted and has not ended
    elsewhere: dict[str, float] = field(default_factory=dict)  # what other runs do, and when to look again (monotonic clock)
    computed: int = 0

    def __post_init__(self) -> None:
        self.missing = self.plan.needed(self.done)
        self.board = Board(self.plan, self.done)
        self.runtimes = Runtimes.of(self.spec, self.store.location)
        self._told: tuple[str, ...] = ()
        self._left: set[JobName] | None = None  # what earlier runs left work or a failure of
        self._last_look = 0.0
        self._priority: dict[str, float] = {}
        self._stopped: tuple[Job, ...] = ()  # what was at work when the run had to end
        self._writer: Any = None
        self._runner: Executor | None = None

    def executor(self, name: str, address: str | None, nodes: int) -> Executor:
        """What will run the jobs that are missing."""
        if name == "inline":
            return self.inline()
        from orchestrator.executors.ray.executor import RayExecutor
        from orchestrator.executors.ray.terms import Terms

        kinds = frozenset(job.kind for job in self.missing)
        terms = Terms(self.runtimes, kinds, address, f"tune/{self.spec.name}", nodes)
        return RayExecutor(terms, self.notes.append, self.waits, self._hear)

    def inline(self) -> Executor:
        """What runs the jobs that are missing in this process."""
        from orchestrator.executors.inline import Inline

        around: Around = self.tries or (lambda job: contextlib.nullcontext())
        return Inline(self.store, self.runtimes, self._hear, self.notice, around)

    def go(self, runner: Executor) -> None:
        """Run all that is missing and not blocked, the jobs on which most time hangs first."""
        self._runner = runner
        estimator = Estimator(self.spec.resources)
        estimator.learn_all(self.store)
        self._priority = priorities(self.missing, estimator.lengths(self.plan, self.missing))
        busy = time.monotonic()
        try:
            while not self.notice.given and (self._submit(runner) or self.in_flight) and time.monotonic() - busy < self.idle_s:
                ended = runner.poll(TICK_S)
                for end in ended:
                    self._end(end)
                changed = bool(ended) or self._look_elsewhere()
                if self.elsewhere.keys() != self.in_flight:
                    busy = time.monotonic()
                elif not changed:
                    time.sleep(TICK_S)  # nothing is at work here
                self.show(changed=changed)
        except OutOfTime:
            at_work = [self.plan.jobs[key] for key in self.in_flight - self.elsewhere.keys()]
            self._stopped = tuple(runner.drain() or [job for job in at_work if not KINDS[job.kind].of_trials])
        else:
            if self.notice.given and self.in_flight:
                self._drain(runner)
        finally:
            self.notice.settle()
            self.waits("letting the workers go")

    def _drain(self, runner: Executor) -> None:
        """Wait for what is at work to come to the end of its epoch, where it does in time."""
        at_work = runner.drain()
        before = [self.store.progress(job) for job in at_work]
        with contextlib.suppress(OutOfTime):
            while any(map(self.notice.worth_waiting, before, self.store.each(self.store.progress, at_work))):
                for end in runner.poll(TICK_S):
                    self._end(end)
                self.show()
        self._stopped = tuple(at_work)

    def show(self, *, changed: bool = True) -> None:
        """Tell the watcher and the MLflow writer how things are, but not more often than useful."""
        if not changed and time.monotonic() - self._last_look < TICK_S:
            return
        self._last_look = time.monotonic()
        snapshot = self.snapshot()
        self.watch(snapshot)
        if self._writer:
            self._writer.update(snapshot)

    def snapshot(self) -> Snapshot:
        """How all jobs stand now. It costs what is at work, not what there is: states and reasons are those of the board, which
        go on to change."""
        board = self.board
        if len(self._told) != len(self.notes):
            self._told = tuple(self.notes)
        at_work = board.progress.keys() | self.elsewhere.keys()
        return Snapshot(
            self.plan,
            board.states,
            dict(board.progress),
            self._told,
            board.failed,
            ready=len(self.in_flight) - len(at_work),
            machine=self._runner.machine if self._runner else None,
            counts=Counter(board.counts),
            turned=board.turned,
        )

    def outcome(self) -> Outcome:
        """The end of the run, once its workers are gone: until then they go on, and more is kept."""
        states = self.board.states
        blocked = tuple(job for job in self.missing if states[job.key] == State.BLOCKED)
        failed = tuple((self.plan.jobs[key], reason) for key, reason in self.board.failed.items())
        left = tuple(job for job in self.missing if states[job.key] in (State.RUNNING, State.WAITING))
        stopped = self.notice.reason if left else ""
        begun = [job for job in self._stopped if self.store.progress(job)]  # of what is done there is none
        kept = tuple((job, checkpointed(self.store.work(job))) for job in begun)
        return Outcome(self.plan, self.store, self.computed, failed, blocked, tuple(self.notes), left, stopped, kept)

    @contextlib.contextmanager
    def tracked(self) -> Iterator[None]:
        """While the block runs, MLflow follows; a server that does not answer is a note, never an error."""
        if not self.spec.tracking.enabled:
            yield
            return
        from orchestrator.tracking.writer import Writer

        self._writer = Writer(self.spec, self.plan, self.store)
        try:
            yield
        finally:
            self._writer.update(self.snapshot())
            self.waits("writing the rest to MLflow")
            problem = self._writer.close(max(1.0, min(FLUSH_S, self.notice.left_s)))
            self.notes += filter(None, (self._writer.note, problem))

    def _submit(self, runner: Executor) -> bool:
        """Hand out what has become ready; whether there was any."""
        ready = sorted(self.board.take_ready(), key=lambda job: -self._priority[job.key])
        for job in ready:
            self.in_flight.add(job.key)
            if not self.tries:  # by whom it is looked at once more before the job is begun
                self._forget_failure(job)
            runner.submit(job, self._priority[job.key])
        return bool(ready)

    def _forget_failure(self, job: Job) -> None:
        """Of an earlier run; what there is of it was listed once."""
        if self._left is None:
            self._left = self.store.leftovers()
        if JobName(job.kind, job.key) in self._left:
            self.store.forget_failure(job)

    def _hear(self, key: str, progress: Mapping[str, Any]) -> None:
        """Note what a job at work says of itself; the trials of a search are no jobs of the plan."""
        if key in self.in_flight:
            self.board.begin(key, progress)
        self.show(changed=False)

    def _look_elsewhere(self) -> bool:
        """Take the results of what other runs did, and have what they left undone submitted; whether there was any."""
        now, before = time.monotonic(), len(self.elsewhere)
        for key in [key for key, due in self.elsewhere.items() if due <= now]:
            job = self.plan.jobs[key]
            if self.store.worker(job):
                self._leave(job)
                continue
            del self.elsewhere[key]
            self.in_flight.remove(key)
            if self._result(job):
                self.board.finish(key)
            elif self.tries and (reason := self.tries.failure(job)):
                self.board.fail(key, reason)
            else:
                self.board.again(key)
        return len(self.elsewhere) < before

    def _leave(self, job: Job) -> None:
        """Leave a job to another run for now, and see how far that one is."""
        self.elsewhere[job.key] = time.monotonic() + LOOK_AGAIN_S
        if progress := self.store.progress(job):
            self.board.begin(job.key, progress)

    def _result(self, job: Job) -> Entry | None:
        """What the store holds of a job; a corrupt entry is put aside, with a note."""
        found, notes = entry_or_quarantine(job, self.store, deep=False)
        self.notes += notes
        return found

    def _end(self, end: Ended) -> None:
        key = end.job.key
        if end.elsewhere:
            self._leave(end.job)
            note = f"another run on this store is at work on some of the jobs ({end.elsewhere}): its results are waited for"
            if note not in self.notes:
                self.notes.append(note)
            return
        self.in_flight.remove(key)
        if end.restarted and not end.failure:
            self.notes.append(f"{end.job.title}: its worker died, and another went on from its last checkpoint")
        if self._result(end.job):
            self.board.finish(key)
            self.computed += end.computed
            return
        reason = visible(end.failure or "it ended without a result")
        if not self.store.failure(end.job):  # the worker itself could not say
            with contextlib.suppress(OSError):  # the run says it
                self.store.fail(end.job, {"reason": reason})
        self.board.fail(key, reason)
