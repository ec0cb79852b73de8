"""Data sets that plugins bring: every form of a part gives the same images; what is wrong with one is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kd_core.data.given import ByIndex, Given, as_tensor, moments
from kd_core.data.load import load
from kd_core.data.split import DataError, Split
from kd_core.data.table import DATASETS, DataConfig, DatasetInfo

CLASSES, SIZE = 2, 8


def pixels(count: int, channels: int = 3) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, channels, SIZE, SIZE), generator=drawn, dtype=torch.uint8)


def labels(count: int) -> list[int]:
    return [index % CLASSES for index in range(count)]


class Styled:
    """A data set in torchvision's style, of PIL's images."""

    def __init__(self, count: int, targets: bool) -> None:
        self.images = pixels(count)
        if targets:
            self.targets = labels(count)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return Image.fromarray(self.images[index].permute(1, 2, 0).numpy()), labels(len(self))[index]


FORMS = {
    "tensors": lambda count: (pixels(count), torch.tensor(labels(count))),
    "arrays": lambda count: (pixels(count).numpy(), np.array(labels(count))),
    "tensor by index": lambda count: ByIndex(labels(count), lambda index: pixels(count)[index]),
    "array HWC by index": lambda count: ByIndex(labels(count), lambda index: pixels(count)[index].permute(1, 2, 0).numpy()),
    "torchvision's, with targets": lambda count: Styled(count, targets=True),
    "torchvision's, without": lambda count: Styled(count, targets=False),
}


@pytest.fixture
def read(monkeypatch):
    """The splits of a data set whose ``read`` returns this."""

    def of(given, channels=3, train=20, **more):
        info = DatasetInfo(CLASSES, channels, SIZE, False, train, "of a test", read=lambda root, download: given)
        monkeypatch.setitem(DATASETS, "given", info)
        return load(DataConfig(name="given", validation=0.2), Path(), **more)

    return of


@pytest.mark.parametrize("memory_gib", [1.0, 0.0], ids=["decoded at once", "batch by batch"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(read, form, memory_gib):
    splits = read((FORMS[form](20), FORMS[form](6)), memory_gib=memory_gib)
    plain = read((FORMS["tensors"](20), FORMS["tensors"](6)))
    for one, other in ((splits.train, plain.train), (splits.validation, plain.validation), (splits.test, plain.test)):
        order = torch.arange(len(other))
        [got] = list(one.stream([order]))
        assert torch.equal(got.images_NCHW, other.images_NCHW)
        assert torch.equal(one.labels_N, other.labels_N)
    assert splits.mean == pytest.approx(plain.mean)
    assert splits.std == pytest.approx(plain.std)


def test_moments_by_hand():
    # one channel: of four pixels two are 0 and two 255: mean 0.5, deviation 0.5; the other is constant, so not divided by
    images = torch.zeros(1, 2, 2, 2, dtype=torch.uint8)
    images[0, 0, 0] = 255
    images[0, 1] = 51
    mean, std = moments(Split(images, torch.zeros(1, dtype=torch.long)))
    assert mean == pytest.approx((0.5, 0.2))
    assert std == pytest.approx((0.5, 1.0))


def test_moments_that_are_stated_are_taken(read):
    splits = read(Given(FORMS["tensors"](20), FORMS["tensors"](6), mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)))
    assert (splits.mean, splits.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_images_by_index_of_another_size_are_fitted_and_grey_ones_made_colour(read):
    grey = ByIndex(labels(20), lambda index: np.full((16, 12), 7 * index, np.uint8))
    splits = read((grey, grey))
    [got] = list(splits.test.stream([torch.arange(20)]))
    assert got.images_NCHW.shape == (20, 3, SIZE, SIZE)
    assert got.images_NCHW[3].unique().tolist() == [21]


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (np.zeros((8, 8, 3)), "must be uint8 of two or three axes, but is float64 of 3"),
        (np.zeros((1, 8, 8, 3), np.uint8), "but is uint8 of 4"),
        (torch.zeros(3, 8, 8), "must be uint8 CHW, but is torch.float32"),
        (torch.zeros(8, 8, dtype=torch.uint8), "must be uint8 CHW"),
        (np.zeros((8, 8, 4), np.uint8), "must have 3 channels, but has 4"),
    ],
)
def test_what_is_no_image(image, problem):
    with pytest.raises(ValueError, match=problem):
        as_tensor(image, 3)


def broken(index):
    raise OSError("disk on fire")


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (lambda: (pixels(20).float(), labels(20)), "must have images of uint8, N × 3 × 8 × 8, but has torch.float32"),
        (lambda: (pixels(20, 1), labels(20)), r"but has torch.uint8 of shape \(20, 1, 8, 8\)"),
        (lambda: (pixels(20)[..., :4], labels(20)), r"but has torch.uint8 of shape \(20, 3, 8, 4\)"),
        (lambda: (pixels(20), labels(19)), "has 20 images and 19 labels"),
        (lambda: (pixels(20), [0, 2] * 10), "has labels from 0 to 2, but its 2 classes are 0 to 1"),
        (lambda: (pixels(20), [0, -1] * 10), "has labels from -1 to 0"),
        (lambda: (pixels(20), [0.5] * 20), "must have one integer for a label"),
        (lambda: (pixels(0), torch.zeros(0, dtype=torch.long)), "is empty"),
        (lambda: 3, "must be .images, labels., a ByIndex or a data set"),
        (lambda: [1, 2], "must give .image, label."),
        (lambda: ByIndex(labels(20), broken), r"image \d+ of given cannot be had .OSError: disk on fire."),
    ],
)
def test_what_is_wrong_with_a_part(read, part, problem):
    def seen():
        return list(read((part(), FORMS["tensors"](6))).train.stream([torch.arange(2)]))

    with pytest.raises(DataError, match=problem):
        seen()


@pytest.mark.parametrize("given", [None, 3, (1,), (1, 2, 3)])
def test_what_read_gives_that_is_no_pair(read, given):
    with pytest.raises(DataError, match=r"`read` must give .train, test."):
        read(given)


def test_what_read_raises_is_told(monkeypatch):
    def read(root, download):
        raise ConnectionError("no route")

    monkeypatch.setitem(DATASETS, "given", DatasetInfo(2, 3, 8, False, 20, "", read=read))
    with pytest.raises(DataError, match=r"the data set given cannot be read .ConnectionError: no route."):
        load(DataConfig(name="given"), Path())


@pytest.mark.parametrize("names", [("cat", "dog"), ("cat", "dog", "eel")])
def test_names_are_as_many_as_classes(tmp_path, monkeypatch, names):
    part = pixels(20), labels(20)
    given = Given(part, part, (0.1,) * 3, (0.2,) * 3, names)
    info = DatasetInfo(CLASSES, 3, SIZE, False, 20, "mine", read=lambda root, download: given)
    monkeypatch.setitem(DATASETS, "mine", info)
    config = DataConfig("mine", validation=0.2)
    if len(names) == 2:
        assert load(config, tmp_path).names == names
    else:
        with pytest.raises(DataError, match="names 3 classes, but has 2"):
            load(config, tmp_path)
