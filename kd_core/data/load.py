"""From a data config to the splits that a job sees."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kd_core.data.choose import stratified, with_noise
from kd_core.data.split import DataError, Source, Split, Splits
from kd_core.data.table import DataConfig
from kd_core.data.views import Augmentation
from kd_core.random import generator

LOADERS = {  # the module whose function of the same name loads the set; torchvision and scikit-learn take seconds to import
    "digits": "kd_core.data.digits",
    "cifar10": "kd_core.data.cifar",
    "cifar100": "kd_core.data.cifar",
}


def load(config: DataConfig, root: Path, *, download: bool = False) -> Splits:
    """The splits of a data set that lies under ``root``, or is put there where ``download`` allows it.

    The validation split comes out of all training images, then ``train_size`` out of the rest, then the noise into its
    labels; so neither changes what is validated on.

    Raises:
        DataError: where files are missing or damaged, or there are too few images for what is asked.
    """
    config = config.resolved()
    assert config.padding is not None
    assert config.flip is not None
    read: Callable[[Path, bool], Source] = getattr(importlib.import_module(LOADERS[config.name]), config.name)
    source = read(root, download)
    train, validation = _hold_out(source.train, config)
    train = _reduce(train, config)
    if config.label_noise:
        noise = generator(config.split_seed, "label noise")
        train = replace(train, labels_N=with_noise(train.labels_N, config.label_noise, config.info.classes, noise))
    return Splits(
        train=train,
        validation=validation,
        test=source.test,
        classes=config.info.classes,
        mean=source.mean,
        std=source.std,
        augmentation=Augmentation(config.padding, config.flip),
    )


def _hold_out(train: Split, config: DataConfig) -> tuple[Split, Split]:
    count, classes = round(config.validation * len(train)), config.info.classes
    if count < classes:
        raise DataError(
            f"`data.validation` {config.validation:g} of the {len(train)} training images of {config.name} is {count}, fewer "
            f"than its {classes} classes; raise it"
        )
    held = stratified(train.labels_N, count, generator(config.split_seed, "validation"))
    kept = train.labels_N.new_ones(len(train)).bool()
    kept[held] = False
    return train[kept], train[held]


def _reduce(train: Split, config: DataConfig) -> Split:
    size, classes = config.train_size, config.info.classes
    if size is None:
        return train
    if not classes <= size <= len(train):
        raise DataError(
            f"`data.train_size` must be from {classes} (the classes of {config.name}) to {len(train)} (its training images "
            f"without the validation split, `data.validation` {config.validation:g}), but got {size}"
        )
    return train[stratified(train.labels_N, size, generator(config.split_seed, "train size"))]
