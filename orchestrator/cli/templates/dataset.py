"""MINE: bright bars on noise, at a height that tells the class."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from kd_core.data.given import ByIndex
from kd_core.data.table import DatasetInfo

CLASSES, SIZE, TRAIN, TEST = 3, 8, 300, 90


def bars(seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Images (N1HW, uint8) and their labels."""
    labels_N = torch.arange(count) % CLASSES
    noise = torch.Generator().manual_seed(seed)
    images_N1HW = torch.randint(0, 100, (count, 1, SIZE, SIZE), generator=noise, dtype=torch.uint8)
    for label in range(CLASSES):
        images_N1HW[labels_N == label, :, 2 * label : 2 * label + 3] += 100
    return images_N1HW, labels_N


def read(root: Path, download: bool) -> tuple[tuple[Tensor, Tensor], ByIndex]:
    """The training part and the test part. ``root`` is the folder of data sets; ``download`` says whether it may be filled."""
    images_N1HW, labels_N = bars(1, TEST)
    return bars(0, TRAIN), ByIndex(labels_N.tolist(), lambda index: images_N1HW[index])  # the latter when they are asked for


DATASETS = {"mine": DatasetInfo(CLASSES, 1, SIZE, False, TRAIN, "bright bars on noise", read=read)}
