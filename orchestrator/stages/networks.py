"""Networks in the store: how a trained one is written and read."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch

from kd_core.data.load import load
from kd_core.data.place import Place
from kd_core.data.splits import Splits
from kd_core.data.table import DataConfig
from kd_core.knowledge import NetworkShape
from kd_core.models.network import Network
from kd_core.models.table import build
from kd_core.random import derive
from orchestrator.jobs.canonical import from_plain
from orchestrator.store.artifacts import MODEL
from orchestrator.store.entry import Entry


@functools.lru_cache(maxsize=2)
def _splits(config: DataConfig, place: Place) -> Splits:
    return load(config, Path(place.root), download=place.download, memory_gib=place.memory_gib, cache=place.cache)


def splits_of(config: dict[str, Any], place: Place) -> Splits:
    """The data of a job's config; a worker that runs many jobs reads it once."""
    return _splits(from_plain(DataConfig, config["data"]), place)


def fresh(config: dict[str, Any], kind: str) -> Network:
    """A network as its seed initialises it. Students of one seed and model start equal, whatever their method."""
    info = from_plain(DataConfig, config["data"]).info
    torch.manual_seed(derive(config["seed"], kind, "init"))
    return build(config["model"], channels=info.channels, classes=info.classes)


def trained(entry: Entry) -> Network:
    """The network of a teacher's or student's entry, with its chosen weights, in eval mode.

    Raises:
        CorruptEntry: where its file is not what the manifest says.
    """
    network = fresh(entry.manifest["config"], entry.manifest["kind"])
    network.load_state_dict(MODEL.read(entry))
    return network.eval()


def shape(entry: Entry) -> NetworkShape:
    """The sizes of what an entry's network says, from its manifest."""
    stated = entry.results["shape"]
    return NetworkShape(tuple(tuple(size) for size in stated["stages"]), stated["embedding"], stated["classes"])
