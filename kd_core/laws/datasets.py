"""Laws of every data set that lies here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import torch

from kd_core.data.batches import Part, plain_batches
from kd_core.data.load import load
from kd_core.data.splits import Images, Splits
from kd_core.data.table import DataConfig, DatasetInfo
from kd_core.laws.law import Law, must

PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Case:
    """A data set's entry, which must be in DATASETS under its name, and the folder of data sets."""

    name: str
    info: DatasetInfo
    root: Path = field(default_factory=Path)

    def read(self) -> Splits:
        return load(DataConfig(name=self.name), self.root)


def parts(splits: Splits) -> dict[Part, Images]:
    return {"train": splits.train, "validation": splits.validation, "test": splits.test}


def as_stated(case: Case) -> None:
    splits, info = case.read(), case.info
    train = len(splits.train) + len(splits.validation)  # which is held out of the training images
    must(train == info.train, f"it states {info.train} training images, but has {train}")
    must(len(splits.test) > 0, "it has no test images")
    stated = (info.channels, info.size, info.size)
    for name, part in parts(splits).items():
        must(part.image == stated, f"it states images of {stated}, but those of {name} are {part.image}")


def labels_in_range(case: Case) -> None:
    splits, classes = case.read(), case.info.classes
    for name, part in parts(splits).items():
        low, high = int(part.labels_N.min()), int(part.labels_N.max())
        must(0 <= low <= high < classes, f"labels of {name} go from {low} to {high}, and it states {classes} classes")
    missing = sorted(set(range(classes)) - set(splits.train.labels_N.tolist()))
    must(not missing, f"no training image has the label {', '.join(map(str, missing[:5]))}")


def same_again(case: Case) -> None:
    one, two = case.read(), case.read()
    for name in PARTS:
        first, second = parts(one)[name], parts(two)[name]
        must(torch.equal(first.labels_N, second.labels_N), f"read again, labels of {name} are others")
        must(digests(one, name) == digests(two, name), f"read again, images of {name} are others")


def tested_on_others(case: Case) -> None:
    splits = case.read()
    train, test = {*digests(splits, "train"), *digests(splits, "validation")}, digests(splits, "test")
    repeated = sum(each in train for each in test)
    must(2 * repeated <= len(test), f"{repeated} of its {len(test)} test images are training images too")


def digests(splits: Splits, part: Part) -> list[str]:
    """SHA-256 of every image of a part."""
    images = torch.cat([batch.images_BCHW for batch in plain_batches(splits, part, "cpu")])
    return [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images]


DATASET_LAWS: dict[str, Law] = {
    "as stated": Law("it has as many training images, and images of the size, as its entry states; and test images", as_stated),
    "labels": Law("labels are classes, and every class has training images", labels_in_range),
    "same again": Law("read again it is the same", same_again),
    "apart": Law("most test images are no training images", tested_on_others),
}
