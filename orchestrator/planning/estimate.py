"""How long what is missing will take, from the measured durations of what is done."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.experiment.spec import Resources
from orchestrator.jobs.flops import epochs_of, work
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.measurements import (
    Config,
    Factors,
    Heard,
    Numbers,
    amount,
    likenesses,
    live_teachers,
    measured_config,
)
from orchestrator.planning.plan import Plan
from orchestrator.planning.schedule import Machine, critical_path, demand, finish, workers
from orchestrator.search.cost import Cost, cost
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store

MEASURED, GUESSED = 1.15, 2.0  # factors by which what was measured, or guessed, is off at least
TOLD_ITSELF = 1 / MEASURED, MEASURED  # of a job at work
SURE_S = 30.0  # a measurement so long tells of any length
REACH = 100.0  # another one, and any guess, of no more than so many times its own
SAMPLE = 1000  # entries that are read of a kind only to learn from them


@dataclass(frozen=True)
class Estimate:
    """What is left: the seconds of each job, those among them that are guessed from their arithmetic since nothing like
    them has been measured, the seconds until all are done, and the longest chain of jobs, which no machine shortens.

    Where nothing at all has been measured, there are no seconds, and the chain is that of most arithmetic. Nor are there of a
    job that is much longer than all that was measured: what takes seconds tells little of what takes days.
    """

    seconds: dict[str, float]
    guessed: frozenset[str] = frozenset()
    total: float = 0.0
    low: float = 0.0  # of the total, where all jobs are as fast as the fast ones of their like were
    high: float = 0.0  # and as slow as the slow ones
    path: list[Job] = field(default_factory=list)
    path_seconds: float = 0.0

    @property
    def known(self) -> bool:
        """Whether there are seconds at all."""
        return bool(self.seconds)

    @property
    def unknown(self) -> int:
        """How many jobs there are no seconds of."""
        return len(self.guessed - self.seconds.keys())


@dataclass(frozen=True)
class Step:
    """A job, or one trial of a search: what runs at one time on one share."""

    key: str
    ancestors: tuple[str, ...]
    job: Job


class Estimator:
    """Seconds per epoch and image, and seconds besides the epochs: the medians of what was measured.

    Measurements are kept apart by kind, model, data set, image size, device and method; where a method has not been measured,
    the others of the same model stand in for it. The model of a probe, an analysis and a bank is their teacher's, that of an
    evaluation its student's. What comes besides the epochs (reading data and teachers, the test) is kept apart by kind alone.
    Several workers are taken to share the epochs evenly.

    A search takes as long as its trials, each as long as the part of a training that its scheduler leaves it on average.

    What has not been measured is guessed: its arithmetic, at the median speed of what was measured of its kind, or else of all.

    Jobs at work measure too, epoch by epoch: see :meth:`hear`.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self._rates: defaultdict[tuple[str, ...], Numbers] = defaultdict(Numbers)
        self._besides: defaultdict[str, Numbers] = defaultdict(Numbers)
        self._speeds: defaultdict[str, Numbers] = defaultdict(Numbers)  # seconds per multiplication, by kind
        self._speed = Numbers()  # of all kinds
        self._heard = Heard()
        self._trained: dict[str, Config] = {}

    def learn_all(self, store: Store, known: Iterable[Entry] = ()) -> None:
        """Learn from the entries of a store: from those that are ``known``, and of each kind from some :data:`SAMPLE` others,
        since medians need no more. Keys are in no order, so the first of them are a fair sample."""
        read: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
        for entry in known:
            read[entry.manifest["kind"]][entry.manifest["key"]] = entry
        for kind in KINDS:
            for entry in (*read[kind].values(), *store.entries(kind, but=read[kind], most=SAMPLE)):
                self.learn(entry)

    def learn(self, entry: Entry) -> None:
        """Learn from an entry; that of a network must come before those of what is about it."""
        manifest = entry.manifest
        if KINDS[manifest["kind"]].of_trials:  # they tell as much
            return
        kind, parents = manifest["kind"], manifest["parents"]
        if KINDS[kind].network:
            self._trained[manifest["key"]] = manifest["config"]
        if config := measured_config(manifest["config"], parents, self._trained):
            device = entry.results.get("device", "") if "recipe" in config else ""  # kept apart from what does not train
            seconds = manifest["seconds"] * manifest.get("resources", {}).get("workers", 1)
            for likeness in likenesses(kind, config, device):
                self._rates[likeness].add(seconds / amount(config), seconds)
            speed = seconds / work(kind, config, live_teachers(parents, self._trained))
            self._speeds[kind].add(speed, seconds)
            self._speed.add(speed, seconds)
            besides = (
                manifest["finished"] - manifest["started"] - manifest["seconds"]
            )  # below 0 where an earlier attempt trained
            self._besides[kind].add(max(0.0, besides))

    def hear(self, plan: Plan, jobs: Iterable[Job], progress: Mapping[str, Config]) -> None:
        """Take what jobs at work have measured so far, in place of what was heard before; it tells where nothing has ended."""
        self._heard = Heard()
        for job in jobs:
            said = progress.get(job.key, {})
            if job.epochs and "seconds" in said and (config := self._config(plan, job)):
                seconds = pace(said) * epochs_of(config) * workers(job, self.resources)
                measured = pace(said) * said.get("epoch", 1)
                for likeness in likenesses(job.kind, config, self._device(job)):
                    self._heard.rates[likeness].add(seconds / amount(config), measured)
                live = live_teachers(job.parents, self._above(plan, job))
                self._heard.speed.add(seconds / work(job.kind, config, live), measured)

    def seconds(self, plan: Plan, job: Job, epochs_done: int = 0) -> float | None:
        """Seconds that are left of a job (of a search, all its trials one after the other), or None where nothing like it has
        been measured."""
        if KINDS[job.kind].of_trials:
            each = self.seconds(plan, trial_of(job))
            return None if each is None else each * _whole_trials(job)
        if not (found := self._rates_of(plan, job)):
            return None
        config, (kind, rates) = self._config(plan, job), found
        besides = self._besides[kind].median if self._besides[kind] else 0.0
        return rates.median * amount(config) * _left(job, epochs_done) / workers(job, self.resources) + besides

    def _rates_of(self, plan: Plan, job: Job) -> tuple[str, Numbers] | None:
        """Seconds per epoch and image of the closest likeness that was measured, and the kind that they are of."""
        config = self._config(plan, job)
        for known in (self._rates, self._heard.rates):
            for kind in KINDS[job.kind].measured_as or (job.kind,):
                for likeness in likenesses(kind, config, self._device(job)):
                    if rates := known.get(likeness):
                        return kind, rates
        return None

    def _speeds_of(self, kind: str) -> Numbers:
        """Seconds per multiplication, of that kind or else of all; empty where nothing was measured."""
        return self._speeds.get(kind) or self._speed or self._heard.speed

    def _device(self, job: Job) -> str:
        return ("cuda" if self.allocation(job).gpus else "cpu") if job.epochs else ""

    def _factors(self, plan: Plan, job: Job, seconds: float, *, guessed: bool) -> Factors | None:
        """How much shorter and longer than ``seconds`` a job may be; None where all that was measured is much too short to
        tell."""
        like = trial_of(job) if KINDS[job.kind].of_trials else job
        if guessed:
            speeds = self._speeds_of(job.kind)
            return speeds.spread(GUESSED) if speeds and seconds <= REACH * speeds.longest else None
        found = self._rates_of(plan, like)
        assert found
        _, rates = found
        return rates.spread(MEASURED) if rates.longest >= SURE_S or seconds <= REACH * rates.longest else None

    def guess(self, plan: Plan, job: Job, epochs_done: int = 0) -> float:
        """Seconds that its arithmetic may take, at the speed of what was measured; where nothing was, a second for each
        million million multiplications, so that guesses can be compared with each other and with nothing else."""
        if KINDS[job.kind].of_trials:
            return self.guess(plan, trial_of(job)) * _whole_trials(job)
        speeds = self._speeds_of(job.kind)
        speed = speeds.median if speeds else 1e-12
        if not (config := self._config(plan, job)):
            return 0.0
        amount = work(job.kind, config, live_teachers(job.parents, self._above(plan, job)))
        return amount * speed * _left(job, epochs_done) / workers(job, self.resources)

    def lengths(self, plan: Plan, jobs: Iterable[Job]) -> dict[str, float]:
        """How long each job takes, measured or else guessed: for putting them into order."""
        return {job.key: found if (found := self.seconds(plan, job)) is not None else self.guess(plan, job) for job in jobs}

    def allocation(self, job: Job) -> Machine:
        """What the job may use, all its workers together."""
        return demand(job, self.resources)

    def estimate(self, plan: Plan, missing: Iterable[Job], progress: Mapping[str, Config], machine: Machine) -> Estimate:
        """What is left to do. ``progress``: what half-done jobs last said of themselves, by key."""
        jobs = list(missing)
        self.hear(plan, jobs, progress)
        known: dict[str, float] = {}
        guesses: dict[str, float] = {}
        for job in jobs:
            latest = progress.get(job.key, {})
            if (left := epochs_left(job.epochs, latest)) is not None:
                known[job.key] = left
            elif (seconds := self.seconds(plan, job, latest.get("epoch", 0))) is not None:
                known[job.key] = seconds
            else:
                guesses[job.key] = self.guess(plan, job, latest.get("epoch", 0))
        lengths = known | guesses
        factors = {
            job.key: TOLD_ITSELF
            if epochs_left(job.epochs, progress.get(job.key, {})) is not None
            else self._factors(plan, job, lengths[job.key], guessed=job.key in guesses)
            for job in jobs
        }
        steps = [step for job in jobs for step in _steps(job, progress.get(job.key, {}), lengths)]
        path = critical_path(steps, lengths)
        told = [(step, factor) for step in steps if (factor := factors[step.job.key])]

        def ends(seconds: Mapping[str, float]) -> float:
            return finish(steps, seconds, lambda step: self.allocation(step.job), machine)

        total = ends({step.key: lengths[step.key] for step, _ in told})
        low, high = (ends({step.key: factor[side] * lengths[step.key] for step, factor in told}) for side in (0, 1))
        each: defaultdict[str, float] = defaultdict(float)
        for step, _ in told:
            each[step.job.key] += lengths[step.key]
        untold = frozenset(job.key for job in jobs if not factors[job.key])
        chain = list(dict.fromkeys(step.job for step in path))
        along = sum(lengths[step.key] for step in path if factors[step.job.key])
        return Estimate(dict(each), frozenset(guesses) | untold, total, low, high, chain, along)

    def _config(self, plan: Plan, job: Job) -> Config:
        return measured_config(job.config, job.parents, self._above(plan, job))

    def _above(self, plan: Plan, job: Job) -> dict[str, Config]:
        return {key: plan.jobs[key].config for key in job.ancestors}


def epochs_left(epochs: int, progress: Config) -> float | None:
    """Seconds until the last of so many epochs ends, from the durations of those before; None before there is one."""
    if "seconds" not in progress:
        return None
    rest, since = epochs - progress["epoch"], time.time() - progress["updated"]
    return float(rest * pace(progress) - min(max(0.0, since), pace(progress) if rest else 0.0))


def pace(progress: Config) -> float:
    """Seconds of an epoch of a job at work: the median of its last ones, or else of the last."""
    return float(progress.get("pace") or progress["seconds"])


def trial_of(search: Job) -> Job:
    """A whole trial of a search."""
    return Job("trial", KINDS["trial"].version, search.config["student"], search.parents)


def _whole_trials(search: Job) -> float:
    """How many trainings the trials of a search come to."""
    found = cost(search.config)
    return found.trials * found.part


def _steps(job: Job, progress: Config, lengths: dict[str, float]) -> list[Step]:
    """What a job consists of: itself, or the trials that a search has yet to make, and then itself in no time.

    ``lengths`` gets those of the trials, and loses that of their search.
    """
    if not KINDS[job.kind].of_trials:
        return [Step(job.key, job.ancestors, job)]
    found = cost(job.config)
    left = max(0, min(found.trials, progress.get("trials", found.trials)) - progress.get("ended", 0))
    each = lengths[job.key] / found.trials if found.trials else 0.0
    steps: list[Step] = []
    for number in range(left):
        above = _waited_for(number, found)
        key = f"{job.key}/{number}"
        lengths[key] = each
        steps.append(Step(key, (*job.ancestors, *(f"{job.key}/{other}" for other in above)), job))
    lengths[job.key] = 0.0
    return [*steps, Step(job.key, (*job.ancestors, *(step.key for step in steps)), job)]


def _waited_for(number: int, found: Cost) -> range:
    """The trials that must have ended before one begins."""
    if found.width is None:
        return range(0)
    if found.rounds:
        begin = number - number % found.width
        return range(max(0, begin - found.width), begin)
    return range(max(0, number - found.width), max(0, number - found.width + 1))


def _left(job: Job, epochs_done: int) -> float:
    return 1 - epochs_done / job.epochs if job.epochs else 1.0
