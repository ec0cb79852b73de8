"""Published top-1 accuracies, and the protocols under which they were measured. Imports no torch.

The numbers stand in CSV files beside this one, each with its source. Papers of the field report the best epoch on the test
split (:data:`CHOSEN_ON_TEST`), of one run or the mean of a few.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

from kd_core.data.table import RESIZED, DataConfig
from kd_core.recipe import Recipe

CHOSEN_ON_TEST = "the best epoch on the test split"
PARTS = ("base", "scheme")  # knobs that stand in the key of a method over others
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
    """How a literature trains: data, recipe by model, knobs of methods by their key, for all pairs or for one of them."""

    description: str
    source: str
    recipe: Callable[[str], Recipe]  # of a student
    data: Callable[[str], DataConfig]
    of_teacher: Callable[[str], Recipe] | None = None  # of a teacher, where it is another
    of_method: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what is another in the recipe of its students
    common: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # knobs of a method for all pairs
    knobs: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    tuned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # methods whose knobs vary by pair, and which of them

    def student(self, model: str, method: str) -> Recipe:
        """The recipe of a student that a method (its key) trains."""
        return replace(self.recipe(model), **self.of_method.get(method, {}))

    def teacher(self, model: str) -> Recipe:
        """The recipe of a teacher."""
        return (self.of_teacher or self.recipe)(model)

    def knobs_of(self, method: str, teacher: str, student: str) -> Mapping[str, Any] | None:
        """The knobs of a method (its key) that are not its defaults for a pair; None where they are not known."""
        found = self.knobs.get((method, teacher, student), None if method in self.tuned else {})
        return None if found is None else {**self.common.get(method, {}), **found}


def _rate(student: str) -> float:
    return 0.01 if student.startswith(SMALL_NETWORKS) else 0.05


# By pair, the beta of DKD: configs/cifar100/dkd of mdistiller. T and weight of logit standardisation: the names of the logs
# that the README of its public code links.
_DKD = {
    ("wrn_40_2", "wrn_16_2"): 6.0,
    ("wrn_40_2", "wrn_40_1"): 6.0,
    ("wrn_40_2", "shufflenet_v1"): 8.0,
    ("vgg13", "vgg8"): 6.0,
    ("vgg13", "mobilenet_v2_x0_5"): 6.0,
    ("resnet56", "resnet20"): 2.0,
    ("resnet110", "resnet32"): 2.0,
    ("resnet32x4", "resnet8x4"): 8.0,
    ("resnet32x4", "shufflenet_v1"): 8.0,
    ("resnet32x4", "shufflenet_v2"): 8.0,
    ("ResNet50", "mobilenet_v2_x0_5"): 8.0,
}
_STANDARDISED = {
    ("resnet32x4", "resnet8x4"): (2.0, 9.0),
    ("resnet32x4", "shufflenet_v2"): (2.0, 9.0),
    ("resnet32x4", "wrn_16_2"): (3.0, 9.0),
    ("resnet32x4", "wrn_40_2"): (3.0, 9.0),
    ("vgg13", "vgg8"): (3.0, 9.0),
    ("vgg13", "mobilenet_v2_x0_5"): (3.0, 9.0),
    ("wrn_40_2", "wrn_16_2"): (2.0, 9.0),
    ("wrn_40_2", "wrn_40_1"): (2.0, 9.0),
    ("wrn_40_2", "resnet8x4"): (2.0, 9.0),
    ("wrn_40_2", "mobilenet_v2_x0_5"): (3.0, 9.0),
    ("resnet56", "resnet20"): (2.0, 9.0),
    ("resnet110", "resnet32"): (2.0, 9.0),
    ("ResNet50", "mobilenet_v2_x0_5"): (3.0, 1.0),
}
# The weight of ReviewKD: CIFAR-100/script of its public code; mdistiller's config has the same for resnet32x4 → resnet8x4.
_REVIEW = {
    ("wrn_40_2", "wrn_16_2"): 5.0,
    ("wrn_40_2", "wrn_40_1"): 5.0,
    ("wrn_40_2", "shufflenet_v1"): 5.0,
    ("resnet32x4", "resnet8x4"): 5.0,
    ("resnet32x4", "shufflenet_v1"): 5.0,
    ("resnet32x4", "shufflenet_v2"): 8.0,
    ("resnet56", "resnet20"): 0.6,
    ("resnet110", "resnet32"): 1.0,
}
# Weight, resolution and normalisation of CAT-KD: configs/cifar100/CAT_KD of its public code.
_CLASS_ATTENTION = {
    ("wrn_40_2", "wrn_16_2"): (12.0, 2, False),
    ("wrn_40_2", "wrn_40_1"): (1.5, 2, False),
    ("wrn_40_2", "shufflenet_v1"): (80.0, 4, True),
    ("vgg13", "vgg8"): (4.5, 2, False),
    ("vgg13", "mobilenet_v2_x0_5"): (15.0, 2, True),
    ("resnet56", "resnet20"): (0.7, 2, False),
    ("resnet110", "resnet32"): (1.8, 2, False),
    ("resnet32x4", "resnet8x4"): (15.0, 2, False),
    ("resnet32x4", "shufflenet_v1"): (600.0, 4, True),
    ("resnet32x4", "shufflenet_v2"): (600.0, 4, True),
    ("ResNet50", "mobilenet_v2_x0_5"): (40.0, 2, True),
}

# Methods that begin with a loss of their own, for 30 epochs before the 240 of the others
_BEGINNING = ("ab", "ft", "fsp")
_REPDISTILLER = Protocol(
    "all training images; SGD, momentum 0.9, weight decay 5e-4, batch 64, 240 epochs, lr 0.05 (MobileNet and ShuffleNet "
    "0.01), ×0.1 at 150, 180 and 210; AB, FT and FSP 30 epochs more, before these",
    "Tian et al. 2020 (arXiv 1910.10699), appendix",
    recipe=lambda student: Recipe(lr=_rate(student)),
    data=lambda name: DataConfig(name, validation=0),
    of_method={key: {"epochs": 270, "milestones": (180, 210, 240)} for key in _BEGINNING},
    common={"cc": {"form": "reference"}, "ft": {"beta": 200.0, "factor": "map"}},
    knobs={
        **{("dkd", *pair): {"beta": beta} for pair, beta in _DKD.items()},
        **{
            ("logit_std/kd", *pair): {"knobs": {"temperature": heat, "alpha": weight}}
            for pair, (heat, weight) in _STANDARDISED.items()
        },
        **{("reviewkd", *pair): {"beta": beta} for pair, beta in _REVIEW.items()},
        **{
            ("cat_kd", *pair): {"beta": beta, "resolution": side, "normalise": normalise}
            for pair, (beta, side, normalise) in _CLASS_ATTENTION.items()
        },
        **{("logit_std/dkd", "resnet32x4", student): {} for student in ("resnet8x4", "shufflenet_v2")},
    },
    tuned={
        "dkd": ("beta",),
        "logit_std/kd": ("knobs",),
        "logit_std/dkd": ("knobs",),
        "logit_std/ctkd": ("knobs",),
        "rld": ("beta", "temperature"),
        "reviewkd": ("beta",),
        "cat_kd": ("beta", "resolution", "normalise"),
        "ttm": ("beta", "exponent"),
        "wttm": ("beta", "exponent"),
    },
)
# Torchvision's networks
_IMAGENET_DKD = {
    ("torchvision:resnet34", "torchvision:resnet18"): 0.5,
    ("torchvision:resnet50", "torchvision:mobilenet_v2"): 2.0,
}

PROTOCOLS: dict[str, Protocol] = {
    "repdistiller": _REPDISTILLER,
    "mdistiller": replace(_REPDISTILLER, source="configs/cifar100 of the public code of Zhao et al. 2022 (arXiv 2203.08679)"),
    "mgd": replace(
        _REPDISTILLER,
        description=f"as repdistiller, of its teachers: {_REPDISTILLER.description}",
        source="Shao & Chen 2021 (arXiv 2108.06681) and its public code",
    ),
    "mtkd": replace(
        _REPDISTILLER,
        description=f"as repdistiller, with Nesterov momentum for students: {_REPDISTILLER.description}",
        source="public code of Zhang et al. 2022 (CA-MKD, arXiv 2201.00007)",
        recipe=lambda student: Recipe(lr=_rate(student), nesterov=True),
        of_teacher=lambda teacher: Recipe(lr=_rate(teacher)),
    ),
    "imagenet": Protocol(
        "all training images; resized crops, evaluation on the middle 224 of 256; SGD, momentum 0.9, weight decay 1e-4, "
        "batch 512, 100 epochs, lr 0.2 (ReviewKD and CRD: batch 256, lr 0.1), ×0.1 at 30, 60 and 90",
        "configs/imagenet of the public code of Zhao et al. 2022 (arXiv 2203.08679)",
        recipe=lambda student: Recipe(
            epochs=100, batch_size=512, lr=0.2, weight_decay=1e-4, schedule="multistep", milestones=(30, 60, 90)
        ),
        of_method={key: {"batch_size": 256, "lr": 0.1} for key in ("reviewkd", "crd")},
        data=lambda name: DataConfig(name, validation=0, crop=RESIZED, crop_pct=0.875),
        common={
            "kd": {"ce": 0.5, "alpha": 0.5, "temperature": 1.0},
            "dkd": {"temperature": 1.0, "warmup": 1},
            "reviewkd": {"warmup": 1},
        },
        knobs={("dkd", *pair): {"beta": beta} for pair, beta in _IMAGENET_DKD.items()},
        tuned={"dkd": ("beta",)},
    ),
}


def method_key(name: str, knobs: Mapping[str, Any]) -> str:
    """What the ledger calls a method: ``kd``, ``logit_std/kd``, ``mgd/at/stable``."""
    parts = PARTS if name in ("logit_std", "mgd") else ()
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
