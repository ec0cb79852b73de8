"""How long what is missing will take, from the measured durations of what is done."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kd_core.data.table import DataConfig
from orchestrator.canonical import revive
from orchestrator.job import Job
from orchestrator.plan import Plan
from orchestrator.schedule import Machine, finish
from orchestrator.spec.spec import Resources, Share
from orchestrator.stages.table import STAGES
from orchestrator.store import Entry, Store

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """Seconds of each job that can be told, how many jobs cannot, and the seconds until those that can are done."""

    seconds: dict[str, float]
    unknown: int
    total: float


class Estimator:
    """Seconds per epoch and image, and seconds besides the epochs: the medians of what was measured.

    Measurements are kept apart by kind, model, data set, image size, device and method; where a method has not been measured,
    the others of the same model stand in for it. The model of a probe, an analysis and a bank is their teacher's, that of an
    evaluation its student's. What comes besides the epochs (reading data and teachers, the test) is kept apart by kind alone.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self._rates: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
        self._besides: defaultdict[str, list[float]] = defaultdict(list)
        self._trained: dict[str, Config] = {}

    def learn_all(self, store: Store) -> None:
        """Learn from every entry of a store."""
        for kind in STAGES:
            for entry in store.entries(kind):
                self.learn(entry)

    def learn(self, entry: Entry) -> None:
        """Learn from an entry; that of a network must come before those of what is about it."""
        manifest = entry.manifest
        if manifest["kind"] in ("teacher", "student"):
            self._trained[manifest["key"]] = manifest["config"]
        if config := _measured(manifest["config"], manifest["parents"], self._trained):
            device = entry.results.get("device", "") if "recipe" in config else ""  # kept apart from what does not train
            for likeness in _likenesses(manifest["kind"], config, device):
                self._rates[likeness].append(manifest["seconds"] / _amount(config))
            besides = (
                manifest["finished"] - manifest["started"] - manifest["seconds"]
            )  # below 0 where an earlier attempt trained
            self._besides[manifest["kind"]].append(max(0.0, besides))

    def seconds(self, plan: Plan, job: Job, epochs_done: int = 0) -> float | None:
        """Seconds that are left of a job, or None where nothing like it has been measured."""
        config = _measured(job.config, job.parents, {key: plan.jobs[key].config for key in job.ancestors})
        device = ("cuda" if self.share(job).gpus else "cpu") if job.epochs else ""
        for likeness in _likenesses(job.kind, config, device):
            if rates := self._rates.get(likeness):
                left = 1 - epochs_done / job.epochs if job.epochs else 1
                return statistics.median(rates) * _amount(config) * left + statistics.median(self._besides[job.kind])
        return None

    def share(self, job: Job) -> Share:
        """What the job may use."""
        return self.resources.of(job.kind)

    def estimate(self, plan: Plan, missing: Iterable[Job], progress: Mapping[str, Config], machine: Machine) -> Estimate:
        """What is left to do. ``progress``: what half-done jobs last said of themselves, by key."""
        jobs = list(missing)
        told: dict[str, float] = {}
        for job in jobs:
            said = progress.get(job.key, {})
            if (left := epochs_left(job, said)) is not None:
                told[job.key] = left
            elif (seconds := self.seconds(plan, job, said.get("epoch", 0))) is not None:
                told[job.key] = seconds
        return Estimate(told, len(jobs) - len(told), finish(jobs, told, self.share, machine))


def epochs_left(job: Job, said: Config) -> float | None:
    """Seconds until the last epoch of a job at work ends, from the duration of the one before; None before there is one."""
    if "seconds" not in said:
        return None
    epochs, since = job.epochs - said["epoch"], time.time() - said["updated"]
    return epochs * said["seconds"] - min(max(0.0, since), said["seconds"] if epochs else 0.0)


def _measured(config: Config, parents: Mapping[str, list[str]], trained: Mapping[str, Config]) -> Config:
    """The config that says how large a job is: its own, with that of the network that it is about but for the recipe; empty
    where that is unknown."""
    if "model" in config:
        return config
    keys = [key for keys in parents.values() for key in keys]
    if len(keys) != 1:
        return {}
    [key] = keys
    about = {name: value for name, value in trained.get(key, {}).items() if name != "recipe"}
    return {**about, **config} if about else {}


def _amount(config: Config) -> float:
    """Images × epochs; images alone for what does not train."""
    return revive(DataConfig, config["data"]).images * config.get("recipe", {}).get("epochs", 1)


def _likenesses(kind: str, config: Config, device: str) -> list[tuple[str, ...]]:
    """Names under which a duration is kept, the closest likeness first."""
    if not config:
        return []
    data = revive(DataConfig, config["data"])
    base = (kind, config["model"], data.name, str(data.info.size), device)
    if "evaluation" in config:
        return [(*base, config["evaluation"])]
    return [(*base, config["method"]["name"]), base] if "method" in config else [base]
