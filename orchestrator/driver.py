"""The pipeline: a spec in, tables out. Does what is missing, goes on with what is half done, leaves the rest alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_core.plugins.tables import known, use
from orchestrator.executors.executor import LOOK_AGAIN_S, CannotRun, Ended, Executor
from orchestrator.executors.runtimes import Runtimes
from orchestrator.experiment.load import load
from orchestrator.experiment.spec import Spec, other_data
from orchestrator.jobs.job import Job, JobName
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.estimate import Estimator
from orchestrator.planning.plan import Plan, make
from orchestrator.planning.schedule import priorities
from orchestrator.planning.snapshot import Snapshot, Watch
from orchestrator.planning.state import Facts, State, decide
from orchestrator.store.entry import Entry
from orchestrator.store.errors import CorruptEntry, StoreError, StoreFailed
from orchestrator.store.plugins import keep
from orchestrator.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

    from orchestrator.report.data.reading import Reading

TICK_S = 0.5  # between two looks at running jobs
FLUSH_S = 60  # longest wait for MLflow at the end
QUARANTINES = 10  # of attempts at one job, each corrupt


@dataclass(frozen=True)
class Outcome:
    """What a run leaves. ``results`` has a row per student, ``evaluations`` one per (student, evaluation, number), ``probes``
    one per (teacher, layer, split), ``searches`` one per student and method whose knobs are searched, and ``trials`` one per
    trial of them."""

    plan: Plan
    store: Store
    computed: int  # jobs done in this run
    failed: tuple[tuple[Job, str], ...] = ()
    blocked: tuple[Job, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def reading(self) -> Reading:
        """What the store holds of the plan, read once for all tables."""
        from orchestrator.report.data.reading import Reading

        return Reading(self.plan, self.store)

    @property
    def results(self) -> pa.Table:
        """One row per student job, as in ``kd report --format csv``."""
        from orchestrator.report.data.results import results

        return results(self.reading)

    @property
    def evaluations(self) -> pa.Table:
        """One row per (student, evaluation, number)."""
        from orchestrator.report.data.results import evaluations

        return evaluations(self.reading)

    @property
    def probes(self) -> pa.Table:
        """One row per (teacher, layer, split)."""
        from orchestrator.report.data.results import probes

        return probes(self.reading)

    @property
    def searches(self) -> pa.Table:
        """One row per student and method whose knobs are searched."""
        from orchestrator.report.data.searches import searches

        return searches(self.reading)

    @property
    def trials(self) -> pa.Table:
        """One row per trial of a search that has begun."""
        from orchestrator.report.data.searches import trials

        return trials(self.reading)


def run(
    source: Spec | str | Path,
    *,
    executor: str = "ray",
    address: str | None = None,
    overrides: Sequence[str] = (),
    store: str | None = None,
    watch: Watch = lambda snapshot: None,
) -> Outcome:
    """Run an experiment to its end.

    Args:
        source: a spec, or a YAML file (then ``overrides`` and ``store`` apply as ``--set`` and ``--store`` do).
        executor: "ray" or "inline".
        address: of a Ray cluster to join; None starts a private one.
        watch: called with a snapshot whenever something changed, and about twice a second.

    Raises:
        ValueError: SpecError, StoreError, DataError or CannotRun, each with what to do; before anything is trained.
    """
    spec = source if isinstance(source, Spec) else load(source, overrides, store)
    if executor not in ("ray", "inline"):
        raise CannotRun(f"executor must be ray or inline, but got {executor}")
    plugins = [known(plugin.sha256) for plugin in spec.plugins]
    use(plugins)
    plan, results = make(spec), Store(spec.store)
    results.prepare()
    for plugin in plugins:
        keep(plugin, results)
    with results.lock(f"run-{spec.name}") as held:
        if not held:
            who = results.holder(f"run-{spec.name}") or "another process"
            raise StoreError(f"another `kd run` of {spec.name} is at work on {results.location} ({who}); `kd status` shows it")
        done, notes = verify_entries(plan, results)
        sweep(plan, results, done)
        work = _Run(spec, plan, results, done, notes, watch)
        with work.tracked():
            if work.missing:
                with contextlib.closing(work.executor(executor, address)) as runner:  # Ray starts while the data are read
                    notes += _check_data(spec)
                    notes += _check_weights(work)
                    work.go(runner)
        return work.outcome()


def verify_entries(plan: Plan, store: Store) -> tuple[set[str], list[str]]:
    """The keys of what is done, every byte verified; corrupt entries go to quarantine, with a note each.

    A bank is verified only where a missing student needs it: it may be large, and nothing else reads it.
    """
    done: set[str] = set()
    notes: list[str] = []

    def verify(job: Job) -> None:
        found, problems = entry_or_quarantine(job, store, deep=True)
        notes.extend(problems)
        if found:
            done.add(job.key)

    list(store.each(verify, [job for job in plan if KINDS[job.kind].target]))
    list(store.each(verify, [job for job in plan.needed(done) if not KINDS[job.kind].target]))
    return done, notes


def sweep(plan: Plan, store: Store, done: Collection[str]) -> None:
    """Remove what killed runs left of jobs that are done."""
    left = store.leftovers()
    for job in plan:
        if job.key in done and JobName(job.kind, job.key) in left:
            with store.lock_job(job) as held:
                if held:
                    store.clear(job)


def entry_or_quarantine(job: Job, store: Store, *, deep: bool) -> tuple[Entry | None, list[str]]:
    """A job's entry, and notes of what was found corrupt and moved out of its way. ``deep`` reads every file.

    Raises:
        StoreFailed: where it cannot be moved.
    """
    notes: list[str] = []
    for _ in range(QUARANTINES):
        try:
            return store.find(job.kind, job.key, deep=deep), notes
        except CorruptEntry as error:
            where = store.quarantine(job.kind, job.key)
            notes.append(f"corrupt entry of {job.title} ({error}): moved to {where}, computed again")
    raise StoreFailed(f"the corrupt entry {job.kind}/{job.key} of {store.location} cannot be moved out of the way")


def _check_data(spec: Spec) -> list[str]:
    """Open the data once, here: what is wrong with it is said before any training, and one process downloads, not many. Notes
    of what the user should know of it."""
    from kd_core.data.load import verify

    others = [data for asked in spec.evaluations for data in other_data(asked.config).values()]
    how: dict[str, Any] = {"download": spec.download, "memory_gib": spec.data_memory_gib}
    return [note for data in dict.fromkeys((spec.data, *others)) for note in verify(data, Path(spec.data_root), **how)]


def _check_weights(work: _Run) -> list[str]:
    """Try the given weights of the teachers that are missing on their networks, before anything is trained. Notes of what the
    user should know of them.

    Raises:
        CannotRun: where some do not fit, with all that do not.
    """
    given = [job for job in work.missing if job.kind == "teacher" and "sha256" in job.config.get("weights", {})]
    if not given:
        return []
    from kd_core.models.weights import fill, read
    from orchestrator.stages.networks import fresh

    notes, problems = [], []
    for job in given:
        file = work.runtimes.weights_of(job)
        try:
            whole = fill(fresh(job.config, job.kind), read(file)) if file else True
        except (ValueError, OSError) as error:
            problems.append(f"{job.title}: {error}" if str(file) in str(error) else f"{job.title}: {file}: {error}")
            continue
        if not whole:
            notes.append(f"{job.title}: its weights ({file}) have no head; it gets a random one, and answers by chance")
    if problems:
        raise CannotRun("\n".join(problems))
    return notes


@dataclass
class _Run:
    """The state of one run: which jobs wait, run, are done or failed."""

    spec: Spec
    plan: Plan
    store: Store
    done: set[str]
    notes: list[str]
    watch: Watch
    failed: dict[str, str] = field(default_factory=dict)
    submitted: set[str] = field(default_factory=set)
    elsewhere: dict[str, float] = field(default_factory=dict)  # what other runs do, and when to look again (monotonic clock)
    computed: int = 0

    def __post_init__(self) -> None:
        self.missing = self.plan.needed(self.done)
        self.runtimes = Runtimes.of(self.spec, self.store.location)
        progress = self.store.each(self.store.progress, self.missing)
        self._before = {job.key: found.get("attempt") for job, found in zip(self.missing, progress, strict=True)}
        self._last_look = 0.0
        self._priority: dict[str, float] = {}
        self._writer: Any = None

    def executor(self, name: str, address: str | None) -> Executor:
        """What will run the jobs that are missing."""
        if name == "inline":
            from orchestrator.executors.inline import Inline

            return Inline(self.store, self.runtimes, lambda: self.show(changed=False))
        from orchestrator.executors.ray.executor import RayExecutor
        from orchestrator.executors.ray.terms import Terms

        kinds = frozenset(job.kind for job in self.missing)
        return RayExecutor(Terms(self.runtimes, kinds, address, f"tune/{self.spec.name}"), self.notes.append)

    def go(self, runner: Executor) -> None:
        """Run all that is missing and not blocked, the jobs on which most time hangs first."""
        estimator = Estimator(self.spec.resources)
        estimator.learn_all(self.store)
        self._priority = priorities(self.missing, estimator.lengths(self.plan, self.missing))
        while self._submit(runner) or self._in_flight:
            ended = runner.poll(TICK_S)
            for end in ended:
                self._end(end)
            changed = bool(ended) or self._look_elsewhere()
            if not changed and self.elsewhere.keys() == self._in_flight:
                time.sleep(TICK_S)  # nothing is at work here
            self.show(changed=changed)

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
        """The states of all jobs now; a job runs once its attempt has left a sign of its own."""
        progress = {}
        begun = list(self._in_flight)
        for key, found in zip(begun, self.store.each(self.store.progress, [self.plan.jobs[key] for key in begun]), strict=True):
            if found and (key in self.elsewhere or found.get("attempt") != self._before.get(key)):
                progress[key] = found
        return Snapshot(self.plan, self._states(progress), progress, tuple(self.notes))

    def outcome(self) -> Outcome:
        """The end of the run."""
        states = self._states()
        blocked = tuple(job for job in self.missing if states[job.key] == State.BLOCKED)
        failed = tuple((self.plan.jobs[key], reason) for key, reason in self.failed.items())
        return Outcome(self.plan, self.store, self.computed, failed, blocked, tuple(self.notes))

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
            if problem := self._writer.close(FLUSH_S):
                self.notes.append(problem)

    @property
    def _in_flight(self) -> set[str]:
        return self.submitted - self.done - self.failed.keys()

    def _submit(self, runner: Executor) -> bool:
        ready = [
            job
            for job in self.missing
            if job.key not in self.submitted and all(ancestor in self.done for ancestor in job.ancestors)
        ]
        for job in sorted(ready, key=lambda job: -self._priority[job.key]):
            self.submitted.add(job.key)
            self.store.forget_failure(job)
            runner.submit(job, self._priority[job.key])
        return bool(ready)

    def _look_elsewhere(self) -> bool:
        """Take the results of what other runs did, and have what they left undone submitted; whether there was any."""
        now, before = time.monotonic(), len(self.elsewhere)
        for key in [key for key, due in self.elsewhere.items() if due <= now]:
            job = self.plan.jobs[key]
            if self.store.worker(job):
                self.elsewhere[key] = now + LOOK_AGAIN_S
                continue
            del self.elsewhere[key]
            if self._result(job):
                self.done.add(key)
            else:
                self.submitted.remove(key)
        return len(self.elsewhere) < before

    def _result(self, job: Job) -> Entry | None:
        """What the store holds of a job; a corrupt entry is put aside, with a note."""
        found, notes = entry_or_quarantine(job, self.store, deep=False)
        self.notes += notes
        return found

    def _end(self, end: Ended) -> None:
        if end.elsewhere:
            self.elsewhere[end.job.key] = time.monotonic() + LOOK_AGAIN_S
            note = f"another run on this store is at work on some of the jobs ({end.elsewhere}): its results are waited for"
            if note not in self.notes:
                self.notes.append(note)
            return
        if end.restarted and not end.failure:
            self.notes.append(f"{end.job.title}: its worker died, and another went on from its last checkpoint")
        if self._result(end.job):
            self.done.add(end.job.key)
            self.computed += end.computed
            return
        reason = end.failure or "it ended without a result"
        if not self.store.failure(end.job):  # the worker itself could not say
            with contextlib.suppress(OSError):  # the run says it
                self.store.fail(end.job, {"reason": reason})
        self.failed[end.job.key] = reason

    def _states(self, running: Collection[str] = ()) -> dict[str, State]:
        """By what this process has seen, which is more than the store tells."""
        return decide(self.plan, Facts(self.done, running, self.failed))
