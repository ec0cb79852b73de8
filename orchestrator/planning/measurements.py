"""What tells how long a job takes: the names under which durations are kept, and the durations."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from kd_core.data.table import DATASETS
from orchestrator.jobs.flops import data_of, epochs_of, views_of

Config = Mapping[str, Any]
Parents = Mapping[str, list[str]]
Factors = tuple[float, float]  # that make a duration the shortest and the longest that is likely

FEW = 4  # numbers, of which the range stands for the quartiles


class Numbers:
    """Numbers, each of a measurement of so many seconds, and their quartiles, which are found once however often they are asked
    for."""

    def __init__(self) -> None:
        self._all: list[float] = []
        self._quartiles: list[float] = []
        self.longest = 0.0  # measurement

    def add(self, number: float, measured: float = math.inf) -> None:
        self._all.append(number)
        self._quartiles = []
        self.longest = max(self.longest, measured)

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def quartiles(self) -> list[float]:
        """The first, the median and the third, of one number at least."""
        if not self._quartiles:
            few = [min(self._all), statistics.median(self._all), max(self._all)]
            self._quartiles = few if len(self._all) < FEW else statistics.quantiles(self._all, n=4, method="inclusive")
        return self._quartiles

    @property
    def median(self) -> float:
        return self.quartiles[1]

    def spread(self, least: float) -> Factors:
        """The outer quartiles over the median, and no closer to it than by the factor ``least``."""
        low, median, high = self.quartiles
        return (min(low / median, 1 / least), max(high / median, least)) if median else (1.0, 1.0)


class Heard:
    """What jobs at work have measured so far."""

    def __init__(self) -> None:
        self.rates: defaultdict[tuple[str, ...], Numbers] = defaultdict(Numbers)
        self.speed = Numbers()


def measured_config(config: Config, parents: Parents, trained: Mapping[str, Config]) -> Config:
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


def amount(config: Config) -> float:
    """Images × epochs, or × views that a bank is filled with; images alone for what does neither."""
    return data_of(config).images * epochs_of(config) * views_of(config)


def likenesses(kind: str, config: Config, device: str) -> list[tuple[str, ...]]:
    """Names under which a duration is kept, the closest likeness first."""
    if not config:
        return []
    data = data_of(config)
    base = (kind, config["model"], data.name, str(data.info.size), device)
    if "evaluation" in config:
        return [(*base, config["evaluation"])]
    return [(*base, config["method"]["name"]), base] if "method" in config else [base]


def live_teachers(parents: Parents, configs: Mapping[str, Config]) -> list[str]:
    """The models of the teachers that answer every batch; none where banks hold what they say."""
    if any(role.startswith("banks:") for role in parents):
        return []
    return [configs[key]["model"] for key in parents.get("teachers", []) if key in configs]
