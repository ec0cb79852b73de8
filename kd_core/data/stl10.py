"""STL-10 (Coates, Ng & Lee 2011), read by torchvision's loader from the files that Stanford publishes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from kd_core.data.published import Archive
from kd_core.data.split import Split
from kd_core.data.splits import Source
from kd_core.data.table import DataConfig
from kd_core.vision import datasets

MEAN, STD = (0.4467, 0.4398, 0.4066), (0.2603, 0.2566, 0.2713)  # over the pixels of the 5,000 labelled training images


class STL10(datasets.STL10):  # type: ignore[misc]  # torchvision has no types
    """torchvision's, without the 100,000 images that have no labels: their 2.7 GB need not be there."""

    train_list = datasets.STL10.train_list[:2]


def stl10(config: DataConfig, root: Path, download: bool) -> Source:
    """5,000 training and 8,000 test images of 10 classes, 96×96.

    Raises:
        DataError: where the files are absent or are not the published ones.
    """
    archive = Archive.of(STL10)
    archive.unpack(root, download)
    try:
        train = STL10(root, "train")
        names = tuple(getattr(train, "classes", ()))  # of a file of their own, which may be absent
        return Source(_split(train), _split(STL10(root, "test")), MEAN, STD, names=names)
    except RuntimeError as error:
        raise archive.damaged(root, [*STL10.train_list, *STL10.test_list]) from error


def _split(dataset: STL10) -> Split:
    images_NCHW = np.ascontiguousarray(dataset.data)  # the files hold columns, of which torchvision makes rows by strides
    return Split(torch.from_numpy(images_NCHW), torch.from_numpy(dataset.labels).long())
