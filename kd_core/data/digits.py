"""The 1,797 handwritten digits that come with scikit-learn (Alpaydın & Kaynak 1998, UCI optdigits), 8 × 8, one channel."""

from __future__ import annotations

from pathlib import Path

import torch

from kd_core.data.split import Split
from kd_core.data.splits import Source
from kd_core.data.table import DataConfig

MEAN, STD = (0.3053,), (0.3757,)  # of the 1,438 training images
NAMES = tuple("0123456789")


def digits(config: DataConfig, root: Path, download: bool) -> Source:
    """Every fifth image of each class (its 3rd, 8th, …) is the test split: 359 of 1,797, fixed.

    The set has no published test split. Intensities 0..16 are scaled to 0..255 and rounded. Nothing is read from ``root``.
    """
    from sklearn.datasets import load_digits  # a second to import

    bundled = load_digits()
    images_NHW = torch.from_numpy(bundled.images)
    images_NCHW = (images_NHW * (255 / 16)).round().to(torch.uint8)[:, None]
    labels_N = torch.from_numpy(bundled.target).long()

    rank_N = torch.stack([labels_N == label for label in range(10)]).cumsum(1)[labels_N, torch.arange(len(labels_N))] - 1
    everything, test_N = Split(images_NCHW, labels_N), rank_N % 5 == 2
    return Source(everything[~test_N], everything[test_N], MEAN, STD, names=NAMES)
