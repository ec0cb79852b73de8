"""Every data set by its name in YAML, and the knobs that decide what is trained on. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kd_core.knobs import Knobs, knob


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set without opening it. A number that its config has to state is 0."""

    classes: int
    channels: int
    size: int  # H = W
    flip: bool  # its usual augmentation: a random horizontal flip, after padding by an eighth of the size and a random crop
    train: int  # images outside the test split
    description: str
    own: Mapping[str, Any] = field(default_factory=dict)  # the knobs of its own, with their defaults; None: must be given
    read: Callable[[Path, bool], Any] | None = None  # of a plugin: see kd_core.data.given

    def problem(self) -> str:
        """What is wrong with a plugin's entry, in a few words; empty where nothing is."""
        if not callable(self.read):
            return "has no `read`: a function of (root, download) that gives its images"
        wrong = [name for name in ("classes", "channels", "size", "train") if not _positive(getattr(self, name))]
        if wrong:
            return f"must state {', '.join(wrong)} as integers above 0"
        return "has knobs of its own, which only ours can have" if self.own else ""

    @property
    def padding(self) -> int:
        """Pixels on each side: 1 at 8×8, 4 at 32×32, 12 at 96×96, as is usual."""
        return self.size // 8


SYNTHETIC: dict[str, Any] = {
    "classes": 100,
    "train_images": 20_000,
    "test_images": 5_000,
    "difficulty": 0.5,
    "generator_seed": 0,
}

DATASETS: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(10, 1, 8, False, 1438, "scikit-learn's 1,797 handwritten digits; nothing to download"),
    "synthetic": DatasetInfo(
        SYNTHETIC["classes"], 3, 32, True, SYNTHETIC["train_images"], "drawn figures of adjustable difficulty", SYNTHETIC
    ),
    "cifar10": DatasetInfo(10, 3, 32, True, 50_000, "60,000 photographs of 10 classes (Krizhevsky 2009)"),
    "cifar100": DatasetInfo(100, 3, 32, True, 50_000, "60,000 photographs of 100 classes (Krizhevsky 2009)"),
    "stl10": DatasetInfo(10, 3, 96, True, 5_000, "13,000 photographs of 10 classes (Coates et al. 2011)"),
    "tiny_imagenet": DatasetInfo(200, 3, 64, True, 100_000, "110,000 photographs of 200 classes (Stanford CS231n, 2015)"),
    "mnist": DatasetInfo(10, 1, 28, False, 60_000, "70,000 handwritten digits (LeCun et al. 1998)"),
    "fashion_mnist": DatasetInfo(10, 1, 28, True, 60_000, "70,000 photographs of clothing (Xiao et al. 2017)"),
    "svhn": DatasetInfo(10, 3, 32, False, 73_257, "99,289 photographs of house numbers (Netzer et al. 2011)"),
    "cinic10": DatasetInfo(10, 3, 32, True, 90_000, "180,000 photographs of CIFAR-10's classes (Darlow et al. 2018)"),
    "oxford_pets": DatasetInfo(37, 3, 224, True, 3_680, "7,349 photographs of 37 breeds (Parkhi et al. 2012)"),
    "oxford_flowers": DatasetInfo(102, 3, 224, True, 2_040, "8,189 photographs of 102 flowers (Nilsback & Zisserman 2008)"),
    "food101": DatasetInfo(101, 3, 224, True, 75_750, "101,000 photographs of 101 dishes (Bossard et al. 2014)"),
    "imagenet": DatasetInfo(1000, 3, 224, True, 1_281_167, "1,331,167 photographs of 1,000 classes (Russakovsky et al. 2015)"),
    "image_folder": DatasetInfo(
        0,
        3,
        0,
        True,
        0,
        "any images: <folder>/train/<class>/*.png",
        dict.fromkeys(("folder", "size", "classes", "train_images")) | {"upright": True},
    ),
}


SHIFTED, RESIZED = CROPS = ("shifted", "resized")
POLICY_NAMES = ("none", "autoaugment_cifar", "autoaugment_imagenet", "randaugment", "trivialaugment")


@dataclass(frozen=True)
class DataConfig(Knobs):
    """What decides the images and labels that a job sees. Where they lie on disk is not part of it.

    The last seven knobs belong to those data sets alone that name them as their own.
    """

    name: str = knob("cifar100", "the data set", choices=DATASETS)
    validation: float = knob(
        0.1,
        "fraction of the training data held out, stratified by class; 0: all is trained on, and the last epoch is the result",
        low=0,
        high=0.5,
    )
    split_seed: int = knob(0, "seed of the validation split (and of train_size and label_noise)", low=0)
    train_size: int | None = knob(None, "use only so many training images, stratified by class", low=1)
    label_noise: float = knob(0.0, "fraction of training labels replaced by another class", low=0, high=1)
    padding: int | None = knob(
        None, "augmentation: padding before a random crop; default: an eighth of the size", low=0, high=64
    )
    flip: bool | None = knob(None, "augmentation: random horizontal flip; default by data set")
    crop: str = knob(
        SHIFTED, "augmentation: what is cropped: the padded image, or a part of it that is resized", choices=CROPS, later=True
    )
    scale: tuple[float, float] = knob((0.08, 1.0), "crop resized: least and largest area", above=0, high=1, later=True)
    ratio: tuple[float, float] = knob((3 / 4, 4 / 3), "crop resized: least and largest width over height", above=0, later=True)
    policy: str = knob("none", "augmentation: a policy of operations, torchvision's", choices=POLICY_NAMES, later=True)
    jitter: float = knob(0.0, "augmentation: strength of the jitter of brightness, contrast, saturation", low=0, later=True)
    erasing: float = knob(0.0, "augmentation: chance that a box of an image is blackened", low=0, high=1, later=True)
    draws: int | None = knob(
        None, "drawn views of an image, which a bank can hold; null: new ones in every epoch", low=1, later=True
    )
    size: int | None = knob(None, "images are resized to size × size; default: as they are published", low=4, high=512)
    crop_pct: float = knob(
        1.0,
        "images are kept larger by so much that size is this share of their side: evaluation sees the middle, "
        "augmentation crops from all",
        low=0.25,
        high=1,
        later=True,
    )
    classes: int | None = knob(None, "synthetic, image_folder: number of classes", low=2, high=10_000)
    train_images: int | None = knob(None, "synthetic, image_folder: images outside the test split", low=1)
    test_images: int | None = knob(None, "synthetic: images in the test split", low=1)
    difficulty: float | None = knob(None, "synthetic: how much images of a class differ", low=0, high=1)
    generator_seed: int | None = knob(None, "synthetic: another seed is another world of classes", low=0)
    folder: str | None = knob(None, "image_folder: its path under root, which names the data")
    upright: bool | None = knob(
        None, "image_folder: images are turned as their EXIF says, and transparent ones lie on white; false: as they are stored"
    )

    def conflicts(self) -> list[str]:
        """Knobs that the data set does not have, or that it must be given, or a folder elsewhere."""
        own, found = DATASETS[self.name].own, []
        for name, value in vars(self).items():
            takers = [other for other, info in DATASETS.items() if name in info.own]
            if value is None and own.get(name, ...) is None:
                found.append(f"`{name}` must be given for {self.name}")
            elif value is not None and takers and name not in (*own, "size"):
                found.append(f"`{name}` is for {' and '.join(takers)}, not for {self.name}")
        for name in ("scale", "ratio"):
            low, high = getattr(self, name)
            if low > high:
                found.append(f"`{name}` must be the least and the largest, but got {[low, high]}")
            elif self.crop != RESIZED and (low, high) != getattr(type(self), name):
                found.append(f"`{name}` is for `crop` {RESIZED}, but `crop` is {self.crop}")
        if self.crop == RESIZED and self.padding:
            found.append(f"`padding` is for `crop` {SHIFTED}, but `crop` is {RESIZED}")
        if self.draws is not None and not self.drawn:
            found.append("`draws` is for what is drawn: `crop` resized, `policy`, `jitter` or `erasing`")
        if self.folder is not None and not _within(self.folder):
            found.append(f"`folder` must be a path under root, but got {self.folder!r}")
        return found

    @property
    def info(self) -> DatasetInfo:
        """What is known of the data set as it is configured."""
        info = DATASETS[self.name]
        given = {"classes": self.classes, "size": self.size, "train": self.train_images}
        changed: dict[str, Any] = {name: value for name, value in given.items() if value and value != getattr(info, name)}
        return replace(info, **changed) if changed else info

    @property
    def kept(self) -> int:
        """H = W of the images that are kept: 256 for 224 at a ``crop_pct`` of 0.875."""
        return self.info.size + 2 * self.margin

    @property
    def margin(self) -> int:
        """Pixels on each side that are kept and that evaluation does not see."""
        return round((self.info.size / self.crop_pct - self.info.size) / 2)

    @property
    def drawn(self) -> bool:
        """Whether views are drawn, and not a table of shifts and flips."""
        return self.crop == RESIZED or self.policy != "none" or self.jitter > 0 or self.erasing > 0

    @property
    def images(self) -> int:
        """About how many images are trained on."""
        available = round(self.info.train * (1 - self.validation))
        return available if self.train_size is None else min(self.train_size, available)

    @property
    def views(self) -> int:
        """How many augmented views an image has, of those that are named one by one; 0 where there is no end of them."""
        if self.drawn:
            return 0 if self.draws is None else 1 + self.draws
        known = vars(self) | self._left_out()
        return int((2 * (known["padding"] + self.margin) + 1) ** 2 * (2 if known["flip"] else 1))

    def resolved(self) -> DataConfig:
        """The same config with every default written out. What has none, or belongs to other data sets, stays None."""
        left_out = self._left_out()
        return replace(self, **left_out) if left_out else self

    def _left_out(self) -> dict[str, Any]:
        """The defaults of what is not given."""
        info = self.info
        defaults = {"padding": 0 if self.crop == RESIZED else info.padding, "flip": info.flip, "size": info.size, **info.own}
        return {name: value for name, value in defaults.items() if getattr(self, name) is None}


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _within(folder: str) -> bool:
    path = PurePosixPath(folder)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
