"""Checkpoints: the newest whole one is found, whatever happened to the files."""

from __future__ import annotations

import hashlib

import pytest
import safetensors.torch
import torch

from kd_core.training.checkpoint import Checkpoint, Checkpoints, Record, read_history
from kd_core.training.checkpoint_files import HEADER_BYTES, Folder, epoch_of, newest_first, records


def checkpoint(epochs):
    history = tuple(Record(epoch, 1000 * epoch, 0.5, {"loss": 1 / epoch}) for epoch in range(1, epochs + 1))
    return Checkpoint({"network.w": torch.full((3,), float(epochs))}, history)


@pytest.fixture
def checkpoints(tmp_path):
    found = Checkpoints(tmp_path / "work")
    for epochs in (9, 10, 11):
        found.save(checkpoint(epochs))
    return found


def test_nothing_is_nothing(tmp_path):
    assert Checkpoints(tmp_path / "absent").newest() is None


def test_the_newest_comes_back_and_two_are_kept(checkpoints):
    found = checkpoints.newest()
    assert torch.equal(found.tensors["network.w"], torch.full((3,), 11.0))
    assert found.history == checkpoint(11).history
    names = sorted(path.name[:11] for path in checkpoints.files.path.iterdir())
    assert names == ["epoch-00010", "epoch-00011"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_one_is_passed_over(checkpoints, damage):
    newest = max(checkpoints.files.path.iterdir())
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    newest.write_bytes({"truncate": bytes(content[:50]), "flip": bytes(content), "empty": b""}[damage])
    assert len(checkpoints.newest().history) == 10


FOREIGN = {
    "no safetensors": b"x" * 300,
    "a header that is too long": (2**60).to_bytes(8, "little") + b"{}",
    "no history": safetensors.torch.save({"network.w": torch.zeros(3)}),
    "another history": safetensors.torch.save({"network.w": torch.zeros(3)}, metadata={"history": '[{"epoch": 12}]'}),
    "a history that is no list": safetensors.torch.save({"network.w": torch.zeros(3)}, metadata={"history": "12"}),
    "other names": Checkpoint({"network.v": torch.zeros(3)}, checkpoint(12).history).content(),
    "other shapes": Checkpoint({"network.w": torch.zeros(4)}, checkpoint(12).history).content(),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_one_whose_hash_is_right_and_whose_content_is_not_ours_is_passed_over(checkpoints, content):
    name = f"epoch-00012.{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    checkpoints.files.write(name, content)
    assert len(checkpoints.newest(checkpoint(1).tensors).history) == 11


@pytest.mark.parametrize("named", ["x", "", "00099", "1e9.0", "00099.0123456789abcde", "99.0123456789abcdef"])
def test_what_is_named_otherwise_is_no_checkpoint(checkpoints, named):
    checkpoints.files.write(f"epoch-{named}.safetensors", b"")
    assert [epoch_of(found) for found in newest_first(checkpoints.files)] == [11, 10]
    assert len(checkpoints.newest().history) == 11


def test_all_damaged_means_from_the_start(checkpoints):
    for path in checkpoints.files.path.iterdir():
        path.write_bytes(b"")
    assert checkpoints.newest() is None


def test_one_that_is_removed_while_it_is_looked_for_is_passed_over(checkpoints, monkeypatch):
    names = checkpoints.files.names()
    max(checkpoints.files.path.iterdir()).unlink()
    monkeypatch.setattr(checkpoints.files, "names", lambda: names)
    assert len(checkpoints.newest().history) == 10


def test_the_history_is_read_without_tensors(checkpoints):
    assert read_history(checkpoints.files, max(checkpoints.files.names())) == checkpoint(11).history


def test_a_long_history_is_read_too(tmp_path):
    """A header of more bytes than are read at once."""
    history = tuple(Record(epoch, epoch, 0.5, {f"loss/{name}": 1 / epoch for name in range(100)}) for epoch in range(1, 101))
    found = Checkpoints(tmp_path)
    found.save(Checkpoint({"w": torch.zeros(3)}, history))
    [name] = found.files.names()
    assert len(found.files.read(name)) > 2 * HEADER_BYTES
    assert read_history(found.files, name) == found.newest().history == history


@pytest.mark.parametrize("content", [b"", b"1234", b"\xff" * 20, (2).to_bytes(8, "little") + b"{}"])
def test_what_holds_no_history_says_so(tmp_path, content):
    folder = Folder(tmp_path)
    folder.write("epoch-00001.0.safetensors", content)
    with pytest.raises(ValueError):
        records(folder, "epoch-00001.0.safetensors")


def test_a_full_disk_keeps_what_there_was(checkpoints, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(checkpoint(12))
    assert len(checkpoints.newest().history) == 11
    assert len(list(checkpoints.files.path.iterdir())) == 2
