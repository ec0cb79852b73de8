"""Files of a folder: replaced as a whole or not at all."""

from __future__ import annotations

import os

import pytest

from orchestrator.store.files import read_json, write_bytes, write_json


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "progress.json"
    write_json(path, {"epoch": 1})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"epoch": 2})
    assert read_json(path) == {"epoch": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["progress.json"]


def test_half_a_json_file_reads_as_nothing(tmp_path):
    write_bytes(tmp_path / "a.json", b'{"epoch": ')
    assert read_json(tmp_path / "a.json") == {}
    assert read_json(tmp_path / "absent.json") == {}
