"""A data set as it is published, and the splits of it that a job sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import torch

from kd_core.data.decoded import Decoded
from kd_core.data.split import Split
from kd_core.data.views import Augmentation

if TYPE_CHECKING:
    from kd_core.data.drawn import Drawn

Images: TypeAlias = Split | Decoded  # in memory, or to be decoded: both are indexed, streamed and moved alike


@dataclass(frozen=True)
class Source:
    """A data set as it is published: all its training images and its own test split."""

    train: Images
    test: Images
    mean: tuple[float, ...]  # of each channel, on the scale 0..1, over the training images
    std: tuple[float, ...]
    notes: tuple[str, ...] = ()  # of what the user should know
    names: tuple[str, ...] = ()  # of the classes, where the files or their authors name them


@dataclass(frozen=True)
class Splits:
    """What a job sees. ``train`` may be reduced and its labels noisy; ``validation``, which may be empty, and ``test`` are
    clean."""

    train: Images
    validation: Images
    test: Images
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation | Drawn  # of the training images
    notes: tuple[str, ...] = ()  # of what the user should know of the files
    names: tuple[str, ...] = ()  # of the classes; empty where they have numbers alone
    further: tuple[Augmentation | Drawn, ...] = ()  # of further views of every training image, where a method asks for such

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W) of an image as a network sees it."""
        channels, height, width = self.train.image
        hidden = 2 * self.augmentation.margin
        return channels, height - hidden, width - hidden

    def to(self, device: torch.device | str) -> Splits:
        """The same splits on a device."""
        return replace(self, train=self.train.to(device), validation=self.validation.to(device), test=self.test.to(device))
