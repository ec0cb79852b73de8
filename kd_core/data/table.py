"""Every data set by its name in YAML, and the knobs that decide what is trained on. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, knob


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set without opening it."""

    classes: int
    channels: int
    size: int  # H = W
    padding: int  # its usual augmentation: pixels of padding before a random crop,
    flip: bool  # and a random horizontal flip
    train: int  # images outside the test split
    about: str


DATASETS: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(
        10, 1, 8, padding=1, flip=False, train=1438, about="scikit-learn's 1,797 handwritten digits; nothing to download"
    ),
    "cifar10": DatasetInfo(
        10, 3, 32, padding=4, flip=True, train=50_000, about="60,000 photographs of 10 classes (Krizhevsky 2009)"
    ),
    "cifar100": DatasetInfo(
        100, 3, 32, padding=4, flip=True, train=50_000, about="60,000 photographs of 100 classes (Krizhevsky 2009)"
    ),
}


@dataclass(frozen=True)
class DataConfig(Knobs):
    """What decides the images and labels that a job sees. Where they lie on disk is not part of it."""

    name: str = knob("cifar100", "the data set", choices=tuple(DATASETS))
    validation: float = knob(0.1, "fraction of the training data held out, stratified by class", above=0, high=0.5)
    split_seed: int = knob(0, "seed of the validation split (and of train_size and label_noise)", low=0)
    train_size: int | None = knob(None, "use only so many training images, stratified by class", low=1)
    label_noise: float = knob(0.0, "fraction of training labels replaced by another class", low=0, high=1)
    padding: int | None = knob(None, "augmentation: padding before a random crop; default by data set", low=0, high=16)
    flip: bool | None = knob(None, "augmentation: random horizontal flip; default by data set")

    @property
    def info(self) -> DatasetInfo:
        return DATASETS[self.name]

    @property
    def images(self) -> int:
        """About how many images are trained on."""
        available = round(self.info.train * (1 - self.validation))
        return available if self.train_size is None else min(self.train_size, available)

    @property
    def views(self) -> int:
        """How many augmented views an image has."""
        resolved = self.resolved()
        assert resolved.padding is not None
        return (2 * resolved.padding + 1) ** 2 * (2 if resolved.flip else 1)

    def resolved(self) -> DataConfig:
        """The same config with every default written out."""
        padding = self.info.padding if self.padding is None else self.padding
        flip = self.info.flip if self.flip is None else self.flip
        return DataConfig(self.name, self.validation, self.split_seed, self.train_size, self.label_noise, padding, flip)
