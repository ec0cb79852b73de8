"""How much arithmetic a job is: what tells long jobs from short ones where nothing like them has been measured."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from kd_core.data.table import DataConfig
from kd_core.methods.method import Method
from kd_core.methods.table import METHODS
from kd_core.models.cost import multiplications
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.kinds import KINDS, Work

Config = Mapping[str, Any]
TRAINED = 3  # a step computes forwards, and about twice as much backwards


def work(kind: str, config: Config, live: Iterable[str] = ()) -> float:
    """Multiplications in networks, roughly; losses, evaluation and the fit of a probe are left out.

    Args:
        config: of the job, with model and data of the network that it is about.
        live: the models of teachers that answer every batch.
    """
    data = data_of(config)
    size = data.info.size
    own = multiplications(config["model"], size)
    epochs = epochs_of(config)
    does = KINDS[kind].work
    if does is Work.ASK_EVERY_VIEW:
        return own * data.images * views_of(config)
    if does is Work.ASK or "recipe" not in config:  # a teacher whose weights were given is only asked
        return own * data.images * epochs
    asked = sum(multiplications(model, size) for model in live)
    return (TRAINED * own + asked) * data.images * epochs * views_at_once(config)


def views_at_once(config: Config) -> int:
    """Under how many views a student sees each image of a batch; 1 for any other job."""
    if "method" not in config:
        return 1
    stated = config["method"]
    method = METHODS[stated["name"]]
    if method.further_views is Method.further_views:
        return 1
    return 1 + len(method.further_views(from_plain(method.Config, stated["knobs"])))


def epochs_of(config: Config) -> int:
    """The epochs that a job trains, of a population's trial those of its generation; 1 for what does not train."""
    begin, end = config.get("generation", (0, config.get("recipe", {}).get("epochs", 1)))
    return int(end - begin)


def views_of(config: Config) -> int:
    """How many views of each image are asked about, by a job that fills a bank or a part of one; 1 for any other."""
    if "need" not in config:
        return 1
    begin, end = config.get("views", (0, data_of(config).views))
    return int(end - begin)


def data_of(config: Config) -> DataConfig:
    """The data set of a job's config. Thousands of jobs share one, so it is revived once."""
    return _data(tuple(config["data"].items()))


@functools.lru_cache
def _data(items: tuple[tuple[str, object], ...]) -> DataConfig:
    return from_plain(DataConfig, dict(items))
