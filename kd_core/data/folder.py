"""Folders of images by class: any folder, and Tiny ImageNet as Stanford publishes it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from kd_core.data.files import Files
from kd_core.data.published import Archive
from kd_core.data.split import DataError
from kd_core.data.splits import Source
from kd_core.data.table import DataConfig

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Of desktops, in small letters
JUNK = ("$recycle.bin", "__macosx", "desktop.ini", "ehthumbs.db", "icon\r", "thumbs.db")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation to which torchvision's weights are trained
TINY = Archive(
    title="Tiny ImageNet",
    folder="tiny-imagenet-200",
    filename="tiny-imagenet-200.zip",
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    md5="90528d7ca1a48142e341f4ef8d21d0de",
)


def image_folder(config: DataConfig, root: Path, download: bool) -> Source:
    """``train/<class>/*`` and ``test/<class>/*`` (or ``val`` where there is no ``test``) of ``root/folder``.

    Classes are numbered by their sorted names. Names that begin with a dot are passed over, and what desktops leave.

    Raises:
        DataError: where there is anything else than that, no image in a class, or not what the config states.
    """
    assert config.folder is not None
    return _by_class(config, root / config.folder, ("test", "val"), "state what is there")


def imagenet(config: DataConfig, root: Path, download: bool) -> Source:
    """The 1,281,167 training images of 1,000 classes and the 50,000 of the validation split, which is the test split:
    ``train/<wnid>/*.JPEG`` and ``val/<wnid>/*.JPEG`` of ``root/imagenet``, or of ``root`` itself. Classes are numbered by their
    sorted WordNet ids.

    Raises:
        DataError: where files are absent, or others are there.
    """
    folder = root / "imagenet"
    return _by_class(config, folder if folder.is_dir() else root, ("val",), "it is not whole")


def cinic10(config: DataConfig, root: Path, download: bool) -> Source:
    """90,000 training and 90,000 test images of CIFAR-10's classes, 32×32, in ``train/`` and ``test/`` of ``root/CINIC-10``;
    its ``valid/`` is not read. Classes are numbered by their sorted names.

    Raises:
        DataError: where files are absent, or others are there.
    """
    return _by_class(config, root / "CINIC-10", ("test",), "it is not whole", published=32)


def _by_class(config: DataConfig, folder: Path, tests: tuple[str, ...], advice: str, published: int | None = None) -> Source:
    """The images of ``folder/train`` and of the first of ``tests`` that is there."""
    train = folder / "train"
    test = next((folder / name for name in tests if (folder / name).is_dir()), None)
    if not train.is_dir() or test is None:
        named = " (or ".join(f"{name}/<class>/" for name in tests) + ")" * (len(tests) - 1)
        raise DataError(f"{folder} must hold train/<class>/ and {named} with the images in them")
    listing = _Listing()
    found = {part: {each.name: listing.images(each) for each in listing.folders(part)} for part in (train, test)}
    source = _source(found, listing, config, published)
    _count(source, config, folder, advice)
    return source


def tiny_imagenet(config: DataConfig, root: Path, download: bool) -> Source:
    """100,000 training images of 200 classes, 64×64, as JPEG; the 10,000 of its validation split, which have labels, are
    the test split. Classes are numbered by their sorted WordNet ids.

    Raises:
        DataError: where files are absent or others than the published ones.
    """
    folder = TINY.unpack(root, download)
    again = f"delete {folder}; then {TINY.remedy(root)}"
    train, val = folder / "train", folder / "val"
    try:
        listing = _Listing()
        of_train = {each.name: listing.images(each / "images") for each in listing.folders(train)}
        of_val: dict[str, list[str]] = {}
        for number, line in enumerate((val / "val_annotations.txt").read_text().splitlines(), 1):
            name, wnid, *_ = *line.split("\t"), ""  # then the box of the object
            if not wnid:
                raise DataError(f"{val / 'val_annotations.txt'}: line {number} names no file and class")
            of_val.setdefault(wnid, []).append(str(val / "images" / name))
        unnamed = set(listing.images(val / "images")).symmetric_difference(path for paths in of_val.values() for path in paths)
        listing.problems += [f"{path} is not both in the folder and in val_annotations.txt" for path in sorted(unnamed)]
        source = _source({train: of_train, val: of_val}, listing, config, published=64)
        _count(source, config, folder, "it is not whole")
    except (DataError, OSError) as error:
        raise DataError(f"{error}\n{again}") from error
    return source


class _Listing:
    """What folders hold: all that is wrong there, to be told at once, and what was passed over."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.passed_over: list[str] = []

    def folders(self, folder: Path) -> list[Path]:
        """The folders within, sorted; nothing else may be there."""
        found = self._seen(folder)
        for each in found:
            if not each.is_dir():
                self.problems.append(_dead(each) or f"{each.path} is no folder of a class; move it elsewhere")
        if not found:
            self.problems.append(f"{folder} holds no folders of classes")
        return [Path(each.path) for each in found if each.is_dir()]

    def images(self, folder: Path) -> list[str]:
        """The images within, sorted by name; nothing else may be there."""
        found = self._seen(folder)
        for each in found:
            if not (each.name.lower().endswith(SUFFIXES) and each.is_file()):
                strange = f"{each.path} is no image ({', '.join(SUFFIXES)}); move it elsewhere"
                deeper = (
                    f"{each.path} is a folder, but images lie in their class's folder itself; move them up, or it elsewhere"
                )
                self.problems.append(_dead(each) or (deeper if each.is_dir() else strange))
        if not found:
            self.problems.append(f"{folder} holds no image; put some there or remove it")
        return [each.path for each in found]

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.passed_over:
            return ()
        more = f" and {len(self.passed_over) - 1} more" if len(self.passed_over) > 1 else ""
        return (f"passed over, since desktops leave such files: {self.passed_over[0]}{more}",)

    def _seen(self, folder: Path) -> list[os.DirEntry[str]]:
        with os.scandir(folder) as entries:
            found = sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
        self.passed_over += [each.path for each in found if each.name.lower() in JUNK]
        return [each for each in found if each.name.lower() not in JUNK]


def _dead(entry: os.DirEntry[str]) -> str:
    """What is wrong with a link that leads nowhere; empty for anything else."""
    if not entry.is_symlink() or os.path.exists(entry.path):
        return ""
    return f"{entry.path} is a dead link, to {os.readlink(entry.path)}; mend or remove it"


def _source(
    found: Mapping[Path, Mapping[str, Sequence[str]]], listing: _Listing, config: DataConfig, published: int | None = None
) -> Source:
    """The training and the test split, from the images of each class."""
    DataError.refuse(listing.problems)
    (train, of_train), (test, of_test) = found.items()
    classes = sorted(of_train)
    DataError.refuse(
        [f"class {name} is in {train}, but not in {test}" for name in classes if name not in of_test]
        + [f"class {name} is in {test}, but not in {train}" for name in sorted(of_test) if name not in of_train]
    )

    def files(images: Mapping[str, Sequence[str]]) -> Files:
        labels = [label for label, name in enumerate(classes) for _ in images[name]]
        return Files(
            tuple(path for name in classes for path in images[name]),
            torch.tensor(labels),
            config.kept,
            published,
            bool(config.upright),
        )

    return Source(files(of_train), files(of_test), *IMAGENET, listing.notes, tuple(classes))


def _count(source: Source, config: DataConfig, folder: Path, advice: str) -> None:
    """Refuse another number of classes or training images than the config's."""
    classes, images = len(source.train.labels_N.unique()), len(source.train)
    if (classes, images) != (config.info.classes, config.info.train):
        raise DataError(
            f"{folder} holds {images} training images of {classes} classes, but {config.name} is said to have "
            f"`train_images` {config.info.train} and `classes` {config.info.classes}; {advice}"
        )
