"""Data sets that plugins bring: what their ``read`` gives, made into our images.

``read(root, download)`` returns the training part and the test part, in a tuple or as a :class:`Given` that states mean and
deviation too. A part is one of

    (images, labels)      uint8, NCHW (an array or a tensor), and integers
    ByIndex(labels, get)  ``get(index)`` gives an image when it is asked for
    a data set in torchvision's style, of which ``part[index]`` is (image, label); ``part.targets`` saves decoding for labels

An image is one of PIL's, an array HW or HWC of uint8, or a tensor CHW of uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kd_core.data.decoded import Decoded, fit
from kd_core.data.split import DataError, Split
from kd_core.data.splits import Images, Source
from kd_core.data.table import DATASETS, DataConfig

SOME = 256  # images at a time, where mean and deviation are computed


@dataclass(frozen=True)
class ByIndex:
    """``get(index)`` decodes the image of ``labels[index]``; threads call it, several at a time."""

    labels: Sequence[int]
    get: Callable[[int], Any]


@dataclass(frozen=True)
class Given:
    """Mean and deviation of each channel are on the scale 0..1; where they are not given, they are computed over all training
    images. ``names`` are those of the classes.
    """

    train: Any
    test: Any
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexedImages(Decoded):
    """Images that a function decodes, at their places in its data set; C × ``size`` × ``size``."""

    name: str  # of the data set, for messages
    get: Callable[[int], Any] = field(repr=False)
    indices: tuple[int, ...] = field(repr=False)
    labels_N: Tensor = field(repr=False)
    channels: int = 3
    size: int = 32

    def __getitem__(self, indices_B: Tensor) -> IndexedImages:
        chosen = torch.arange(len(self))[indices_B.cpu()].tolist()
        return replace(self, indices=tuple(self.indices[place] for place in chosen), labels_N=self.labels_N[indices_B])

    def labelled(self, labels_N: Tensor) -> IndexedImages:
        return replace(self, labels_N=labels_N)

    def to(self, device: torch.device | str) -> IndexedImages:
        return replace(self, labels_N=self.labels_N.to(device))

    @property
    def image(self) -> tuple[int, int, int]:
        return self.channels, self.size, self.size

    def name_at(self, index: int) -> str:
        return f"image {self.indices[index]} of {self.name}"

    def decode_at(self, index: int) -> Tensor:
        """One image, uint8 CHW.

        Raises:
            DataError: where the plugin's function raises, or gives no image.
        """
        number = self.indices[index]
        try:
            image_CHW = as_tensor(self.get(number), self.channels)
        except Exception as error:  # whatever a stranger's function does
            raise DataError(f"image {number} of {self.name} cannot be had ({type(error).__name__}: {error})") from error
        return image_CHW if image_CHW.shape[1:] == (self.size, self.size) else fit(image_CHW, self.size)


def read(config: DataConfig, root: Path, download: bool) -> Source:
    """The data set of a plugin, as it is published.

    Raises:
        DataError: where it cannot be read, or is not what its entry in DATASETS states.
    """
    info = DATASETS[config.name]
    assert info.read
    try:
        given = info.read(root, download)
    except DataError:
        raise
    except Exception as error:  # whatever a stranger's function does
        raise DataError(f"the data set {config.name} cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(given, Given):
        if not (isinstance(given, tuple) and len(given) == 2):
            raise DataError(f"the data set {config.name}: `read` must give (train, test), but gave a {type(given).__name__}")
        given = Given(*given)
    train, test = (_part(config, part, name) for part, name in ((given.train, "training"), (given.test, "test")))
    mean, std = (given.mean, given.std) if given.mean and given.std else moments(train)
    if given.names and len(given.names) != info.classes:
        raise DataError(f"the data set {config.name} names {len(given.names)} classes, but has {info.classes}")
    return Source(train, test, tuple(mean), tuple(std), names=tuple(map(str, given.names)))


def as_tensor(image: object, channels: int) -> Tensor:
    """An image of any of the kinds above, uint8 CHW.

    Raises:
        ValueError: where it is none of these, or has other channels.
    """
    if isinstance(image, Tensor):
        image_CHW = image
    else:
        array = np.array(image)  # a copy, so that nobody else writes to it
        if array.ndim == 2:
            array = array[:, :, None]
        if array.ndim != 3 or array.dtype != np.uint8:
            raise ValueError(f"an image must be uint8 of two or three axes, but is {array.dtype} of {array.ndim}")
        image_CHW = torch.from_numpy(array).permute(2, 0, 1).contiguous()
    if image_CHW.dtype != torch.uint8 or image_CHW.ndim != 3:
        raise ValueError(f"an image must be uint8 CHW, but is {image_CHW.dtype} of shape {tuple(image_CHW.shape)}")
    if image_CHW.shape[0] == 1 and channels == 3:
        image_CHW = image_CHW.expand(3, -1, -1)
    if image_CHW.shape[0] != channels:
        raise ValueError(f"an image must have {channels} channels, but has {image_CHW.shape[0]}")
    return image_CHW


def moments(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel over all images, on the scale 0..1."""
    total = torch.zeros(images.image[0], dtype=torch.float64)
    squares, count = total.clone(), 0
    for part in images.stream(torch.arange(len(images)).split(SOME)):
        pixels = part.images_NCHW.cpu().double().div(255).transpose(0, 1).flatten(1)
        total, squares, count = total + pixels.sum(1), squares + pixels.square().sum(1), count + pixels.shape[1]
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt()
    return tuple(mean.tolist()), tuple(value or 1.0 for value in std.tolist())


def _part(config: DataConfig, part: object, name: str) -> Images:
    info, of = config.info, f"the {name} part of {config.name}"
    images: Images
    if isinstance(part, tuple) and len(part) == 2:
        pixels, labels = torch.as_tensor(np.asarray(part[0])), part[1]
        stated = info.channels, info.size, info.size
        if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != stated:
            found = f"{pixels.dtype} of shape {tuple(pixels.shape)}"
            raise DataError(f"{of} must have images of uint8, N × {' × '.join(map(str, stated))}, but has {found}")
        if len(pixels) != len(labels):
            raise DataError(f"{of} has {len(pixels)} images and {len(labels)} labels")
        images = Split(pixels, _labels(labels, info.classes, of))
    else:
        by_index = part if isinstance(part, ByIndex) else _as_torchvision(part, of)
        labels_N = _labels(by_index.labels, info.classes, of)
        images = IndexedImages(config.name, by_index.get, tuple(range(len(labels_N))), labels_N, info.channels, config.kept)
    if not len(images):
        raise DataError(f"{of} is empty")
    return images


def _as_torchvision(part: object, of: str) -> ByIndex:
    if not (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
        raise DataError(
            f"{of} must be (images, labels), a ByIndex or a data set with len() and [index], not {type(part).__name__}"
        )
    targets = getattr(part, "targets", None)
    try:
        labels = [int(part[index][1]) for index in range(len(part))] if targets is None else list(targets)
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(f"{of}: [index] must give (image, label): {error}") from None
    return ByIndex(labels, lambda index: part[index][0])


def _labels(labels: object, classes: int, of: str) -> Tensor:
    labels_N = torch.as_tensor(np.asarray(labels))
    if labels_N.ndim != 1 or labels_N.is_floating_point():
        raise DataError(f"{of} must have one integer for a label of each image")
    labels_N = labels_N.long()
    if len(labels_N) and not (labels_N.min() >= 0 and labels_N.max() < classes):
        raise DataError(
            f"{of} has labels from {labels_N.min()} to {labels_N.max()}, but its {classes} classes are 0 to {classes - 1}"
        )
    return labels_N
