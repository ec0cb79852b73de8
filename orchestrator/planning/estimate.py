"""How long what is missing will take, from the measured durations of what is done."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kd_core.data.table import DATASETS
from orchestrator.experiment.spec import Resources
from orchestrator.jobs.flops import data_of, epochs_of, work
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.plan import Plan
from orchestrator.planning.schedule import Machine, critical_path, demand, finish, workers
from orchestrator.search.cost import Cost, cost
from orchestrator.store.entry import Entry
from orchestrator.store.store import Store

Config = Mapping[str, Any]
Parents = Mapping[str, list[str]]


@dataclass(frozen=True)
class Estimate:
    """What is left: the seconds of each job, those among them that are guessed from their arithmetic since nothing like
    them has been measured, the seconds until all are done, and the longest chain of jobs, which no machine shortens.

    Where nothing at all has been measured, there are no seconds, and the chain is that of most arithmetic.
    """

    seconds: dict[str, float]
    guessed: frozenset[str] = frozenset()
    total: float = 0.0
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


class Numbers:
    """Numbers and their median, which is found once however often it is asked for."""

    def __init__(self) -> None:
        self._all: list[float] = []
        self._median: float | None = None

    def add(self, number: float) -> None:
        self._all.append(number)
        self._median = None

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def median(self) -> float:
        """Of one number at least."""
        if self._median is None:
            self._median = statistics.median(self._all)
        return self._median


class Estimator:
    """Seconds per epoch and image, and seconds besides the epochs: the medians of what was measured.

    Measurements are kept apart by kind, model, data set, image size, device and method; where a method has not been measured,
    the others of the same model stand in for it. The model of a probe, an analysis and a bank is their teacher's, that of an
    evaluation its student's. What comes besides the epochs (reading data and teachers, the test) is kept apart by kind alone.
    Several workers are taken to share the epochs evenly.

    A search takes as long as its trials, each as long as the part of a training that its scheduler leaves it on average.

    What has not been measured is guessed: its arithmetic, at the median speed of what was measured of its kind, or else of all.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self._rates: defaultdict[tuple[str, ...], Numbers] = defaultdict(Numbers)
        self._besides: defaultdict[str, Numbers] = defaultdict(Numbers)
        self._speeds: defaultdict[str, Numbers] = defaultdict(Numbers)  # seconds per multiplication, by kind
        self._speed = Numbers()  # of all kinds
        self._trained: dict[str, Config] = {}

    def learn_all(self, store: Store) -> None:
        """Learn from every entry of a store."""
        for kind in KINDS:
            for entry in store.entries(kind):
                self.learn(entry)

    def learn(self, entry: Entry) -> None:
        """Learn from an entry; that of a network must come before those of what is about it."""
        manifest = entry.manifest
        if KINDS[manifest["kind"]].of_trials:  # they tell as much
            return
        kind, parents = manifest["kind"], manifest["parents"]
        if KINDS[kind].network:
            self._trained[manifest["key"]] = manifest["config"]
        if config := _measured(manifest["config"], parents, self._trained):
            device = entry.results.get("device", "") if "recipe" in config else ""  # kept apart from what does not train
            seconds = manifest["seconds"] * manifest.get("resources", {}).get("workers", 1)
            for likeness in _likenesses(kind, config, device):
                self._rates[likeness].add(seconds / _amount(config))
            speed = seconds / work(kind, config, _live(parents, self._trained))
            self._speeds[kind].add(speed)
            self._speed.add(speed)
            besides = (
                manifest["finished"] - manifest["started"] - manifest["seconds"]
            )  # below 0 where an earlier attempt trained
            self._besides[kind].add(max(0.0, besides))

    def seconds(self, plan: Plan, job: Job, epochs_done: int = 0) -> float | None:
        """Seconds that are left of a job (of a search, all its trials one after the other), or None where nothing like it has
        been measured."""
        if KINDS[job.kind].of_trials:
            each = self.seconds(plan, trial_of(job))
            return None if each is None else each * _whole_trials(job)
        config = self._config(plan, job)
        device = ("cuda" if self.allocation(job).gpus else "cpu") if job.epochs else ""
        for kind in KINDS[job.kind].measured_as or (job.kind,):
            for likeness in _likenesses(kind, config, device):
                if rates := self._rates.get(likeness):
                    left = _left(job, epochs_done) / workers(job, self.resources)
                    return rates.median * _amount(config) * left + self._besides[kind].median
        return None

    def guess(self, plan: Plan, job: Job, epochs_done: int = 0) -> float:
        """Seconds that its arithmetic may take, at the speed of what was measured; where nothing was, a second for each
        million million multiplications, so that guesses can be compared with each other and with nothing else."""
        if KINDS[job.kind].of_trials:
            return self.guess(plan, trial_of(job)) * _whole_trials(job)
        speeds = self._speeds.get(job.kind) or self._speed
        speed = speeds.median if speeds else 1e-12
        if not (config := self._config(plan, job)):
            return 0.0
        amount = work(job.kind, config, _live(job.parents, self._above(plan, job)))
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
        known: dict[str, float] = {}
        guesses: dict[str, float] = {}
        for job in jobs:
            latest = progress.get(job.key, {})
            if (left := epochs_left(job, latest)) is not None:
                known[job.key] = left
            elif (seconds := self.seconds(plan, job, latest.get("epoch", 0))) is not None:
                known[job.key] = seconds
            else:
                guesses[job.key] = self.guess(plan, job, latest.get("epoch", 0))
        lengths = known | guesses
        steps = [step for job in jobs for step in _steps(job, progress.get(job.key, {}), lengths)]
        path = critical_path(steps, lengths)
        chain = list(dict.fromkeys(step.job for step in path))
        if not self._speed:  # the guesses are no seconds
            return Estimate(known, frozenset(guesses), finish(jobs, known, self.allocation, machine), chain)
        total = finish(steps, lengths, lambda step: self.allocation(step.job), machine)
        each: defaultdict[str, float] = defaultdict(float)
        for step in steps:
            each[step.job.key] += lengths[step.key]
        return Estimate(dict(each), frozenset(guesses), total, chain, sum(lengths[step.key] for step in path))

    def _config(self, plan: Plan, job: Job) -> Config:
        return _measured(job.config, job.parents, self._above(plan, job))

    def _above(self, plan: Plan, job: Job) -> dict[str, Config]:
        return {key: plan.jobs[key].config for key in job.ancestors}


def epochs_left(job: Job, progress: Config) -> float | None:
    """Seconds until the last epoch of a job at work ends, from the duration of the one before; None before there is one."""
    if "seconds" not in progress:
        return None
    epochs, since = job.epochs - progress["epoch"], time.time() - progress["updated"]
    return float(epochs * progress["seconds"] - min(max(0.0, since), progress["seconds"] if epochs else 0.0))


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


def _measured(config: Config, parents: Parents, trained: Mapping[str, Config]) -> Config:
    """The config that says how large a job is: its own, with that of the network that it is about but for the recipe; empty
    where that is unknown."""
    if "data" in config and config["data"]["name"] not in DATASETS:  # of a plugin that is not in force
        return {}
    if "model" in config:
        return config
    if "student" in config:  # a search: a trial of it
        trial: Config = config["student"]
        return trial
    keys = [key for keys in parents.values() for key in keys]
    if len(keys) != 1:
        return {}
    [key] = keys
    network = {name: value for name, value in trained.get(key, {}).items() if name != "recipe"}
    return {**network, **config} if network else {}


def _amount(config: Config) -> float:
    """Images × epochs; images alone for what does not train."""
    return data_of(config).images * epochs_of(config)


def _likenesses(kind: str, config: Config, device: str) -> list[tuple[str, ...]]:
    """Names under which a duration is kept, the closest likeness first."""
    if not config:
        return []
    data = data_of(config)
    base = (kind, config["model"], data.name, str(data.info.size), device)
    if "evaluation" in config:
        return [(*base, config["evaluation"])]
    return [(*base, config["method"]["name"]), base] if "method" in config else [base]


def _live(parents: Parents, configs: Mapping[str, Config]) -> list[str]:
    """The models of the teachers that answer every batch; none where banks hold what they say."""
    if any(role.startswith("banks:") for role in parents):
        return []
    return [configs[key]["model"] for key in parents.get("teachers", []) if key in configs]
