"""Published top-1 accuracies, and the protocols under which they were measured. Imports no torch.

The numbers stand in CSV files beside this one, each with its source. Papers of the field report the best epoch on the test
split (:data:`CHOSEN_ON_TEST`), of one run or the mean of a few.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from kd_core.data.table import DataConfig
from kd_core.recipe import Recipe

CHOSEN_ON_TEST = "the best epoch on the test split"
SMALL_NETWORKS = ("mobilenet", "shufflenet")  # which this literature trains with a fifth of the learning rate


@dataclass(frozen=True)
class Published:
    """A row: a student that one teacher taught by a method, or that had none."""

    dataset: str
    teacher: str  # its model; empty: none
    student: str
    method: str  # as :func:`method_key` calls it
    protocol: str  # in PROTOCOLS
    top1: float  # %
    source: str


@dataclass(frozen=True)
class Protocol:
    """How a literature trains: data, recipe by student, and knobs of methods by (method, teacher, student)."""

    description: str
    source: str
    recipe: Callable[[str], Recipe]
    data: Callable[[str], DataConfig]
    knobs: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)

    def knobs_of(self, method: str, teacher: str, student: str) -> Mapping[str, Any]:
        """The knobs of a method (its key) that are not its defaults for a pair."""
        return self.knobs.get((method, teacher, student), {})


def _rate(student: str) -> float:
    return 0.01 if student.startswith(SMALL_NETWORKS) else 0.05


# beta of DKD by pair: configs/cifar100/dkd of mdistiller. T and weight of logit standardisation over KD: the names of the logs
# that the README of its public code links.
_DKD = {
    ("wrn_40_2", "wrn_16_2"): 6.0,
    ("wrn_40_2", "wrn_40_1"): 6.0,
    ("vgg13", "vgg8"): 6.0,
    ("vgg13", "mobilenet_v2_x0_5"): 6.0,
    ("resnet56", "resnet20"): 2.0,
    ("resnet110", "resnet32"): 2.0,
}
_LOGIT_STD = {
    ("vgg13", "vgg8"): (3.0, 9.0),
    ("resnet32x4", "wrn_16_2"): (3.0, 9.0),
    ("resnet32x4", "wrn_40_2"): (3.0, 9.0),
    ("wrn_40_2", "mobilenet_v2_x0_5"): (3.0, 9.0),
    ("vgg13", "mobilenet_v2_x0_5"): (3.0, 9.0),
    ("ResNet50", "mobilenet_v2_x0_5"): (3.0, 1.0),
}

PROTOCOLS: dict[str, Protocol] = {
    "repdistiller": Protocol(
        "all training images; SGD, momentum 0.9, weight decay 5e-4, batch 64, 240 epochs, lr 0.05 (MobileNet and ShuffleNet "
        "0.01), ×0.1 at 150, 180 and 210",
        "Tian et al. 2020 (arXiv 1910.10699), appendix; mdistiller's is the same",
        recipe=lambda student: Recipe(lr=_rate(student)),
        data=lambda name: DataConfig(name, validation=0),
        knobs={
            **{("dkd", *pair): {"beta": beta} for pair, beta in _DKD.items()},
            **{
                ("logit_std/kd", *pair): {"knobs": {"temperature": heat, "alpha": weight}}
                for pair, (heat, weight) in _LOGIT_STD.items()
            },
        },
    ),
}


def method_key(name: str, knobs: Mapping[str, Any]) -> str:
    """What the ledger calls a method: ``kd``, ``logit_std/kd``, ``mgd/at/stable``."""
    parts = ("base", "scheme") if name in ("logit_std", "mgd") else ()
    return "/".join([name, *(str(knobs[part]) for part in parts if part in knobs)])


@functools.cache
def ledger() -> tuple[Published, ...]:
    """Every published row."""
    found = []
    for file in sorted(files("kd_core.published").iterdir(), key=lambda each: each.name):
        if file.name.endswith(".csv"):
            for row in csv.DictReader(file.read_text("utf-8").splitlines()):
                found.append(Published(**{**row, "top1": float(row["top1"])}))  # type: ignore[arg-type]
    return tuple(found)
