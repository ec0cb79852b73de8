"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read by torchvision's loaders from the files that Toronto publishes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from kd_core.data.split import DataError, Source, Split
from kd_core.vision import datasets

Loader = type[datasets.CIFAR10]  # CIFAR-100's derives from it


def cifar10(root: Path, download: bool) -> Source:
    """50,000 training and 10,000 test images of 10 classes; mean and deviation over the pixels of the training images."""
    return _read(datasets.CIFAR10, root, download, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))


def cifar100(root: Path, download: bool) -> Source:
    """50,000 training and 10,000 test images of 100 (fine) classes; mean and deviation as in RepDistiller and mdistiller."""
    return _read(datasets.CIFAR100, root, download, mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))


def _read(loader: Loader, root: Path, download: bool, mean: tuple[float, ...], std: tuple[float, ...]) -> Source:
    """Both splits of a torchvision loader.

    The published format is a pickle. torchvision opens it only after it has found the MD5 of every file to be the published
    one.

    Raises:
        DataError: where the files are absent or are not the published ones.
    """
    if not (root / loader.base_folder).is_dir():
        _unpack(loader, root, download)
    try:
        return Source(_split(loader(root, train=True)), _split(loader(root, train=False)), mean, std)
    except RuntimeError as error:
        raise DataError(
            f"{', '.join(_damaged(loader, root))}: missing, or not as published (MD5). Delete {root / loader.base_folder}; "
            f"then {_remedy(loader, root)}"
        ) from error


def _split(dataset: datasets.CIFAR10) -> Split:
    images_NCHW = np.ascontiguousarray(dataset.data.transpose(0, 3, 1, 2))
    return Split(torch.from_numpy(images_NCHW), torch.tensor(dataset.targets))


def _damaged(loader: Loader, root: Path) -> list[str]:
    published = [*loader.train_list, *loader.test_list, (loader.meta["filename"], loader.meta["md5"])]
    files = {str(root / loader.base_folder / name): md5 for name, md5 in published}
    return [file for file, md5 in files.items() if not datasets.utils.check_integrity(file, md5)]


def _unpack(loader: Loader, root: Path, download: bool) -> None:
    """Bring the archive's folder under ``root``, whole or not at all, even where several processes do so at once."""
    archive = root / loader.filename
    if not archive.is_file() and not download:
        raise DataError(f"{loader.__name__} is not under {root}; {_remedy(loader, root)}")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as scratch:
        if not archive.is_file():
            archive = _download(loader, root, Path(scratch))
        elif not datasets.utils.check_integrity(archive, loader.tgz_md5):
            raise DataError(f"{archive} is not as published (MD5). Delete it; then {_remedy(loader, root)}")
        datasets.utils.extract_archive(archive, scratch)
        try:
            os.rename(Path(scratch, loader.base_folder), root / loader.base_folder)
        except OSError:
            if not (root / loader.base_folder).is_dir():  # not even put there by another process
                raise


def _download(loader: Loader, root: Path, folder: Path) -> Path:
    try:
        datasets.utils.download_url(loader.url, folder, loader.filename, loader.tgz_md5)
    except (OSError, RuntimeError) as error:  # no way there, or not the published file
        raise DataError(
            f"{loader.url} could not be downloaded ({error}); get {loader.filename} by other means and put it into {root}"
        ) from error
    return folder / loader.filename


def _remedy(loader: Loader, root: Path) -> str:
    return f"run with data.download: true, or put {loader.filename} into {root}"
