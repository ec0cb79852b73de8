"""Idx files: read as they are published, compressed or not, and what is said of damaged ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from kd_core.data.load import load, verify
from kd_core.data.split import DataError
from kd_core.data.table import DataConfig
from tests.support.data_world import idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("inner", ["", "FashionMNIST/raw"])
def test_images_and_labels_are_those_of_the_files(tmp_path, monkeypatch, packed, inner):
    folder = tmp_path / inner
    folder.mkdir(parents=True, exist_ok=True)
    made = idx(folder, "fashion_mnist", monkeypatch, packed=packed)
    splits = load(DataConfig("fashion_mnist", validation=0), tmp_path)
    for part, name in ((splits.train, "train"), (splits.test, "t10k")):
        images, labels = made[name]
        assert torch.equal(part.images_NCHW[:, 0], torch.from_numpy(images))
        assert torch.equal(part.labels_N, torch.from_numpy(labels).long())


def cut(file):
    file.write_bytes(file.read_bytes()[:60])


def other(file):
    file.write_bytes(b"no idx file at all")


def fewer(file):
    content = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(content[:7] + bytes([39]) + content[8 : 8 + 39]))


def gone(file):
    file.unlink()


@pytest.mark.parametrize(
    ("damage", "name", "said"),
    [
        (cut, "train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz is no whole idx file"),
        (other, "t10k-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz is no whole idx file"),
        (fewer, "train-labels-idx1-ubyte.gz", r"do not belong together: they are \(40, 28, 28\) and \(39,\)"),
        (gone, "t10k-images-idx3-ubyte.gz", r"t10k-images-idx3-ubyte \(or .*gz\) is not in .* or .*FashionMNIST/raw; put it"),
    ],
)
def test_damage_is_said_with_its_file(tmp_path, monkeypatch, damage, name, said):
    idx(tmp_path, "fashion_mnist", monkeypatch)
    damage(tmp_path / name)
    with pytest.raises(DataError, match=said):
        load(DataConfig("fashion_mnist", validation=0), tmp_path)


def test_fewer_images_than_were_published(tmp_path, monkeypatch):
    idx(tmp_path, "mnist", monkeypatch)
    monkeypatch.undo()
    with pytest.raises(DataError, match="holds 40 training images, not 60000: it is not whole"):
        load(DataConfig("mnist", validation=0), tmp_path)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_published_photographs():
    splits = load(DataConfig("fashion_mnist", validation=0), DEBIAN)
    assert (len(splits.train), len(splits.test)) == (60_000, 10_000)
    pixels = splits.train.images_NCHW.double() / 255
    assert pixels.mean().item() == pytest.approx(splits.mean[0], abs=5e-5)
    assert pixels.std().item() == pytest.approx(splits.std[0], abs=5e-5)


def test_labels_may_have_gaps_which_are_told(tmp_path, monkeypatch):
    """No training image of 3, no test image of 9, and of 7 none at all: splits keep their shares, and classes stay ten."""
    idx(tmp_path, "fashion_mnist", monkeypatch, packed=False)
    moved = {"train": {3: 2, 7: 6}, "t10k": {9: 8, 7: 6}}
    for part, changes in moved.items():
        file = tmp_path / f"{part}-labels-idx1-ubyte"
        content = file.read_bytes()
        file.write_bytes(content[:8] + bytes(changes.get(label, label) for label in content[8:]))
    config = DataConfig("fashion_mnist", validation=0.25, train_size=20)
    splits = load(config, tmp_path)
    assert splits.classes == 10
    assert splits.train.labels_N.bincount().tolist() == [2, 2, 4, 0, 2, 2, 4, 0, 2, 2], "20 of 30, each class at its share"
    notes = verify(config, tmp_path)
    assert "fashion_mnist has no training images of classes 3 (Dress), 7 (Sneaker), of 10" in notes
    assert "fashion_mnist has no test images of classes 7 (Sneaker), 9 (Ankle boot), of 10" in notes
