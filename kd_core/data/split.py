"""A data set in memory: splits of images and labels, and what is needed to feed them to a network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kd_core.data.views import Augmentation


class DataError(ValueError):
    """The data that was asked for is not there, is damaged, or is too little; says where and what to do."""


@dataclass(frozen=True)
class Split:
    """Images (uint8, NCHW) and their labels (int64, N), on one device."""

    images_NCHW: Tensor
    labels_N: Tensor

    def __post_init__(self) -> None:
        assert self.images_NCHW.dtype == torch.uint8
        assert self.labels_N.dtype == torch.int64
        assert self.images_NCHW.ndim == 4
        assert len(self.images_NCHW) == len(self.labels_N)

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, indices_B: Tensor) -> Split:
        return Split(self.images_NCHW[indices_B], self.labels_N[indices_B])

    def to(self, device: torch.device | str) -> Split:
        """The same split on a device; itself where it already lies there."""
        return Split(self.images_NCHW.to(device), self.labels_N.to(device))


@dataclass(frozen=True)
class Source:
    """A data set as it is published: all its training images and its own test split."""

    train: Split
    test: Split
    mean: tuple[float, ...]  # of each channel, on the scale 0..1, over the training images
    std: tuple[float, ...]


@dataclass(frozen=True)
class Splits:
    """What a job sees. ``train`` may be reduced and its labels noisy; ``validation`` and ``test`` are clean."""

    train: Split
    validation: Split
    test: Split
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation  # of the training images

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self.train.images_NCHW.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> Splits:
        """The same splits on a device."""
        return replace(self, train=self.train.to(device), validation=self.validation.to(device), test=self.test.to(device))
