"""torchvision's loader on small files in the published format, whose MD5 it is told."""

import pytest
import torch

from kd_core.data.split import DataError
from kd_core.data.stl10 import stl10
from kd_core.data.table import DataConfig
from tests.support.data_world import stl

CONFIG = DataConfig("stl10").resolved()


def test_images_and_labels_are_those_of_the_files(tmp_path, monkeypatch):
    made = stl(tmp_path, monkeypatch)  # without the unlabelled images
    source = stl10(CONFIG, tmp_path, False)
    for split, part in ((source.train, "train"), (source.test, "test")):
        images, labels = made[part]
        assert torch.equal(split.images_NCHW, torch.from_numpy(images).transpose(2, 3))  # the files hold columns
        assert split.labels_N.tolist() == [label - 1 for label in labels]
        assert split.images_NCHW.is_contiguous()


def test_damaged_files_are_named(tmp_path, monkeypatch):
    stl(tmp_path, monkeypatch)
    folder = tmp_path / "stl10_binary"
    (folder / "train_y.bin").unlink()
    (folder / "test_X.bin").write_bytes((folder / "test_X.bin").read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        stl10(CONFIG, tmp_path, False)
    named = f"{folder / 'train_y.bin'}, {folder / 'test_X.bin'}: missing, or not as published (MD5)"
    assert str(caught.value) == (
        f"{named}. Delete {folder}; then run with data.download: true, or put stl10_binary.tar.gz into {tmp_path}"
    )


def test_absent(tmp_path):
    with pytest.raises(DataError, match=r"STL10 is not under .*; run with data\.download: true, or put stl10_binary\.tar\.gz"):
        stl10(CONFIG, tmp_path, False)
