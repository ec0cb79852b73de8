"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read by torchvision's loaders from the files that Toronto publishes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from kd_core.data.published import Archive
from kd_core.data.split import Split
from kd_core.data.splits import Source
from kd_core.data.table import DataConfig
from kd_core.vision import datasets

Loader = type[datasets.CIFAR10]  # CIFAR-100's derives from it


def cifar10(config: DataConfig, root: Path, download: bool) -> Source:
    """50,000 training and 10,000 test images of 10 classes; mean and deviation over the pixels of the training images."""
    return _read(datasets.CIFAR10, root, download, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))


def cifar100(config: DataConfig, root: Path, download: bool) -> Source:
    """50,000 training and 10,000 test images of 100 (fine) classes; mean and deviation as in RepDistiller and mdistiller."""
    return _read(datasets.CIFAR100, root, download, mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))


def _read(loader: Loader, root: Path, download: bool, mean: tuple[float, ...], std: tuple[float, ...]) -> Source:
    """Both splits of a torchvision loader.

    The published format is a pickle. torchvision opens it only after it has found the MD5 of every file to be the published
    one.

    Raises:
        DataError: where the files are absent or are not the published ones.
    """
    archive = Archive.of(loader)
    archive.unpack(root, download)
    try:
        train, test = loader(root, train=True), loader(root, train=False)
        return Source(_split(train), _split(test), mean, std, names=tuple(train.classes))
    except RuntimeError as error:
        files = [*loader.train_list, *loader.test_list, (loader.meta["filename"], loader.meta["md5"])]
        raise archive.damaged(root, files) from error


def _split(dataset: datasets.CIFAR10) -> Split:
    images_NCHW = np.ascontiguousarray(dataset.data.transpose(0, 3, 1, 2))
    return Split(torch.from_numpy(images_NCHW), torch.tensor(dataset.targets))
