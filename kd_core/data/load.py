"""From a data config to the splits that a job sees."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kd_core.data.choose import held_out, stratified, with_noise
from kd_core.data.decoded import Report, fit
from kd_core.data.split import NAMED, DataError, Split
from kd_core.data.splits import Images, Source, Splits
from kd_core.data.table import RESIZED, DataConfig
from kd_core.data.views import Augmentation
from kd_core.random import generator

if TYPE_CHECKING:
    from kd_core.data.drawn import Drawn

MEMORY_GIB = 4.0

LOADERS = {  # the module whose function of the same name loads the set; torchvision and scikit-learn take seconds to import
    "digits": "kd_core.data.digits",
    "synthetic": "kd_core.data.synthetic",
    "cifar10": "kd_core.data.cifar",
    "cifar100": "kd_core.data.cifar",
    "stl10": "kd_core.data.stl10",
    "tiny_imagenet": "kd_core.data.folder",
    "mnist": "kd_core.data.mnist",
    "fashion_mnist": "kd_core.data.mnist",
    "svhn": "kd_core.data.published_photographs",
    "oxford_pets": "kd_core.data.published_photographs",
    "oxford_flowers": "kd_core.data.published_photographs",
    "food101": "kd_core.data.published_photographs",
    "cinic10": "kd_core.data.folder",
    "imagenet": "kd_core.data.folder",
    "image_folder": "kd_core.data.folder",
}


def load(
    config: DataConfig, root: Path, *, download: bool = False, memory_gib: float = MEMORY_GIB, cache: str | Path | None = None
) -> Splits:
    """The splits of a data set that lies under ``root``, or is put there where ``download`` allows it.

    The validation split (empty where its share is 0) comes out of all training images, then ``train_size`` out of the rest,
    then the noise into its labels; so neither changes what is validated on.

    Files of images are decoded here where all splits together fit into ``memory_gib``, and otherwise batch by batch, or once,
    into the folder ``cache``; batches are the same.

    Raises:
        DataError: where files are missing or damaged, or there are too few images for what is asked.
    """
    config = config.resolved()
    source = _read(config, root, download)
    report = Report()
    if cache is not None:
        source = _cached(source, Path(cache), report)
    train, validation = _hold_out(source.train, config)
    train = _reduce(train, config)
    if config.label_noise:
        noise = generator(config.split_seed, "label noise")
        train = train.labelled(with_noise(train.labels_N, config.label_noise, config.info.classes, noise))
    parts = [train, validation, source.test]
    fits = sum(part.nbytes for part in parts) <= memory_gib * 2**30
    train, validation, test = (_ready(part, config.kept, fits, report) for part in parts)
    DataError.refuse(report.problems)
    return Splits(
        train=train,
        validation=validation,
        test=test,
        classes=config.info.classes,
        mean=source.mean,
        std=source.std,
        augmentation=augmentation_of(config),
        notes=(*source.notes, *report.notes),
        names=source.names,
    )


def with_views(splits: Splits, config: DataConfig, changes: Iterable[Mapping[str, Any]]) -> Splits:
    """The same splits, with the augmentations of further views: the config's own with these knobs changed."""
    return replace(splits, further=tuple(augmentation_of(replace(config, **change).resolved()) for change in changes))


def augmentation_of(config: DataConfig) -> Augmentation | Drawn:
    assert config.padding is not None
    assert config.flip is not None
    if not config.drawn:
        return Augmentation(config.padding, config.flip, config.margin)
    from kd_core.data.drawn import Drawn  # torchvision is imported only where views are drawn

    return Drawn(
        size=config.info.size,
        seed=config.split_seed,
        margin=config.margin,
        padding=config.padding,
        flip=config.flip,
        scale=config.scale if config.crop == RESIZED else None,
        ratio=config.ratio,
        policy=config.policy,
        jitter=config.jitter,
        erasing=config.erasing,
        draws=config.draws,
    )


def _read(config: DataConfig, root: Path, download: bool) -> Source:
    if config.name not in LOADERS:
        from kd_core.data.given import read

        return read(config, root, download)
    ours: Callable[[DataConfig, Path, bool], Source] = getattr(importlib.import_module(LOADERS[config.name]), config.name)
    return ours(config, root, download)


def _cached(source: Source, folder: Path, report: Report) -> Source:
    """The same data set with what is files of images decoded in a folder.

    Raises:
        DataError: where some cannot be decoded, or the folder not be written to.
    """
    from kd_core.data.cached import cached  # PIL is imported only where files are read
    from kd_core.data.files import Files

    train, test = (cached(part, folder, report) if isinstance(part, Files) else part for part in (source.train, source.test))
    DataError.refuse(report.problems)
    return replace(source, train=train, test=test)


def verify(
    config: DataConfig, root: Path, *, download: bool = False, memory_gib: float = MEMORY_GIB, cache: str | Path | None = None
) -> list[str]:
    """Load the data once to find what is wrong with it before anything is trained; also the headers of files that are to be
    decoded batch by batch. Returns what the user should know of it all the same.

    Raises:
        DataError: from :func:`load`.
    """
    splits = load(config, root, download=download, memory_gib=memory_gib, cache=cache)
    report = Report()
    for part in (splits.train, splits.validation, splits.test):
        if not isinstance(part, Split):
            part.verify(report)
    DataError.refuse(report.problems)
    return [*splits.notes, *report.notes, *_absent(splits, config.name)]


def _absent(splits: Splits, name: str) -> list[str]:
    """Notes of classes without an image: a network cannot learn them, or is never asked for them."""
    notes = []
    for part, what in ((splits.train, "training"), (splits.validation, "validation"), (splits.test, "test")):
        empty = part.labels_N.bincount(minlength=splits.classes).eq(0).nonzero().flatten().tolist() if len(part) else []
        if empty:
            called = [f"{label} ({splits.names[label]})" if splits.names else str(label) for label in empty[:NAMED]]
            more = f" and {len(empty) - NAMED} more" if len(empty) > NAMED else ""
            of = "class" if len(empty) == 1 else "classes"
            notes.append(f"{name} has no {what} images of {of} {', '.join(called)}{more}, of {splits.classes}")
    return notes


def _hold_out(train: Images, config: DataConfig) -> tuple[Images, Images]:
    count, classes = round(config.validation * len(train)), config.info.classes
    if config.validation > 0 and count < classes:
        raise DataError(
            f"`data.validation` {config.validation:g} of the {len(train)} training images of {config.name} is {count}, fewer "
            f"than its {classes} classes; raise it"
        )
    return held_out(train, count, generator(config.split_seed, "validation"))


def _reduce(train: Images, config: DataConfig) -> Images:
    size, classes = config.train_size, config.info.classes
    if size is None:
        return train
    if not classes <= size <= len(train):
        raise DataError(
            f"`data.train_size` must be from {classes} (the classes of {config.name}) to {len(train)} (its training images "
            f"without the validation split, `data.validation` {config.validation:g}), but got {size}"
        )
    return train[stratified(train.labels_N, size, generator(config.split_seed, "train size"))]


def _ready(images: Images, size: int, fits: bool, report: Report) -> Images:
    """Images on disk in memory where they fit there; images in memory at the size that is asked for."""
    if not isinstance(images, Split):
        return images.in_memory(report) if fits else images
    if images.image[1:] == (size, size):
        return images
    resized_NCHW = torch.cat([fit(some_BCHW, size) for some_BCHW in images.images_NCHW.split(1024)])
    return Split(resized_NCHW, images.labels_N)
