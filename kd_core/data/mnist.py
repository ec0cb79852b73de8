"""MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747), whose idx files torchvision reads."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path

from torch import Tensor

from kd_core.data.split import DataError, Split
from kd_core.data.splits import Source
from kd_core.data.table import DataConfig
from kd_core.vision import datasets

PARTS = {"train": "train", "test": "t10k"}  # as the files call them


def mnist(config: DataConfig, root: Path, download: bool) -> Source:
    """60,000 training and 10,000 test images of 10 digits, 28×28.

    Raises:
        DataError: where the files are absent, damaged or not all of them.
    """
    return _read(datasets.MNIST, config, root, download, mean=0.1307, std=0.3081, names=tuple("0123456789"))


def fashion_mnist(config: DataConfig, root: Path, download: bool) -> Source:
    """60,000 training and 10,000 test photographs of 10 kinds of clothing, 28×28. Debian's package ``dataset-fashion-mnist``
    has them: ``root: /usr/share/datasets/fashion-mnist``.

    Raises:
        DataError: where the files are absent, damaged or not all of them.
    """
    return _read(
        datasets.FashionMNIST, config, root, download, mean=0.2860, std=0.3530, names=tuple(datasets.FashionMNIST.classes)
    )


def _read(
    loader: type[datasets.MNIST],
    config: DataConfig,
    root: Path,
    download: bool,
    mean: float,
    std: float,
    names: tuple[str, ...],
) -> Source:
    folders = (root, root / loader.__name__ / "raw")
    if download and not all(_found(folders, name) for name in _names()):
        try:
            loader(root, download=True)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{loader.__name__} could not be downloaded ({error}); get its four idx files by other means and put them into "
                f"{folders[1]}"
            ) from error
    parts = {}
    for part, name in PARTS.items():
        images_NHW = _idx(folders, f"{name}-images-idx3-ubyte", loader)
        labels_N = _idx(folders, f"{name}-labels-idx1-ubyte", loader).long()
        if images_NHW.ndim != 3 or labels_N.ndim != 1 or len(images_NHW) != len(labels_N):
            shapes = f"{tuple(images_NHW.shape)} and {tuple(labels_N.shape)}"
            raise DataError(f"the images and labels of {name}-* under {root} do not belong together: they are {shapes}")
        parts[part] = Split(images_NHW[:, None].contiguous(), labels_N)
    if len(parts["train"]) != config.info.train:
        raise DataError(f"{root} holds {len(parts['train'])} training images, not {config.info.train}: it is not whole")
    return Source(parts["train"], parts["test"], (mean,), (std,), names=names)


def _names() -> list[str]:
    return [f"{name}-{kind}-ubyte" for name in PARTS.values() for kind in ("images-idx3", "labels-idx1")]


def _found(folders: tuple[Path, ...], name: str) -> Path | None:
    candidates = (folder / f"{name}{suffix}" for folder in folders for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _idx(folders: tuple[Path, ...], name: str, loader: type[datasets.MNIST]) -> Tensor:
    """The tensor of an idx file, which may be compressed."""
    path = _found(folders, name)
    if path is None:
        there = " or ".join(map(str, folders))
        raise DataError(f"{name} (or {name}.gz) is not in {there}; put it there, or run with data.download: true")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            plain = path
            if path.suffix == ".gz":
                plain = Path(scratch, name)
                with gzip.open(path) as packed, plain.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            found: Tensor = datasets.mnist.read_sn3_pascalvincent_tensor(plain).clone()
    except (OSError, EOFError, ValueError, RuntimeError, AssertionError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path} is no whole idx file ({error or type(error).__name__}); get it anew") from error
    return found
