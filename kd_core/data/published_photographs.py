"""Photographs as torchvision knows their published files: SVHN, Oxford-IIIT Pet, Oxford Flowers 102, Food-101."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from kd_core.data.files import Files
from kd_core.data.folder import IMAGENET
from kd_core.data.split import DataError, Split
from kd_core.data.splits import Images, Source
from kd_core.data.table import DataConfig
from kd_core.vision import datasets

Part: TypeAlias = tuple[Images, tuple[str, ...]]  # with the names of the classes


def svhn(config: DataConfig, root: Path, download: bool) -> Source:
    """73,257 training and 26,032 test photographs of house numbers, 32×32 (Netzer et al. 2011), from ``train_32x32.mat`` and
    ``test_32x32.mat``.

    Raises:
        DataError: where the files are absent or are not the published ones.
    """

    def part(split: str) -> Part:
        found = datasets.SVHN(root, split, download=download)
        images = Split(torch.from_numpy(np.ascontiguousarray(found.data)), torch.from_numpy(found.labels).long())
        return images, tuple("0123456789")

    return _source(
        config, root, "train_32x32.mat and test_32x32.mat", part, ["train"], (0.4377, 0.4438, 0.4728), (0.198, 0.201, 0.197)
    )


def oxford_pets(config: DataConfig, root: Path, download: bool) -> Source:
    """3,680 training and 3,669 test photographs of 37 breeds (Parkhi et al. 2012), in ``oxford-iiit-pet``.

    Raises:
        DataError: where the files are absent.
    """

    part = _listed(datasets.OxfordIIITPet, config, root, download, "_images")
    return _source(config, root, "oxford-iiit-pet/images and oxford-iiit-pet/annotations", part, ["trainval"], *IMAGENET)


def oxford_flowers(config: DataConfig, root: Path, download: bool) -> Source:
    """2,040 training photographs of 102 flowers (those that are published for training and for validation) and 6,149 for the
    test (Nilsback & Zisserman 2008), in ``flowers-102``.

    Raises:
        DataError: where the files are absent or are not the published ones.
    """

    part = _listed(datasets.Flowers102, config, root, download)
    return _source(config, root, "flowers-102 with jpg/, imagelabels.mat and setid.mat", part, ["train", "val"], *IMAGENET)


def food101(config: DataConfig, root: Path, download: bool) -> Source:
    """75,750 training and 25,250 test photographs of 101 dishes (Bossard et al. 2014), in ``food-101``.

    Raises:
        DataError: where the files are absent.
    """

    part = _listed(datasets.Food101, config, root, download)
    return _source(config, root, "food-101/images and food-101/meta", part, ["train"], *IMAGENET)


def _listed(
    loader: Callable[..., Any], config: DataConfig, root: Path, download: bool, paths: str = "_image_files"
) -> Callable[[str], Part]:
    """What reads a part by a data set of torchvision's, which keeps the images' ``paths``."""

    def part(split: str) -> Part:
        found = loader(root, split, download=download)
        images = Files(tuple(map(str, getattr(found, paths))), torch.tensor(found._labels), config.kept)
        return images, tuple(getattr(found, "classes", ()))  # which older versions of torchvision do not name

    return part


def _source(
    config: DataConfig,
    root: Path,
    wanted: str,
    part: Callable[[str], Part],
    training: list[str],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Source:
    try:
        parts = [part(split)[0] for split in training]
        test, names = part("test")
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # absent, damaged, or no way to download them
        raise DataError(
            f"{config.name} cannot be read under {root} ({error}); put {wanted} there, or run with data.download: true"
        ) from error
    train = parts[0] if len(parts) == 1 else _joined([each for each in parts if isinstance(each, Files)])
    if len(train) != config.info.train:
        raise DataError(f"{root} holds {len(train)} training images of {config.name}, not {config.info.train}: it is not whole")
    known = names if len(names) == config.info.classes else ()
    return Source(train, test, mean, std, names=known)


def _joined(parts: list[Files]) -> Files:
    first = parts[0]
    paths = tuple(path for each in parts for path in each.paths)
    return Files(paths, torch.cat([each.labels_N for each in parts]), first.size, first.published)
