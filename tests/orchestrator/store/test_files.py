"""Files of a folder: replaced as a whole or not at all."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.store.files import OutputFailed, read_json, write_bytes, write_json, write_output


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


def test_a_folder_that_others_remove_as_empty_is_made_again(tmp_path, monkeypatch):
    """Removed between its making and the file's, twice."""
    folder, made = tmp_path / "a" / "b", []

    def mkdir(path, *args, **more):
        os.makedirs(path, exist_ok=True)
        made.append(path)
        if len(made) < 3:
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    write_bytes(folder / "x", b"content")
    assert (folder / "x").read_bytes() == b"content"
    assert made == [folder] * 3


def test_half_a_json_file_reads_as_nothing(tmp_path):
    write_bytes(tmp_path / "a.json", b'{"epoch": ')
    assert read_json(tmp_path / "a.json") == {}
    assert read_json(tmp_path / "absent.json") == {}


def test_an_output_goes_straight_into_what_is_no_regular_file(tmp_path):
    """A device or a pipe stays what it is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        write_output(pipe, b"content")
        assert read.result(timeout=30) == b"content"
    assert pipe.is_fifo()
    write_output(Path("/dev/null"), b"content")
    assert Path("/dev/null").is_char_device()


def test_an_output_that_finds_no_room_says_so(tmp_path):
    with pytest.raises(OutputFailed, match=r"^/dev/full cannot be written: No space left on device$"):
        write_output(Path("/dev/full"), b"content")
    assert Path("/dev/full").is_char_device()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFailed, match="cannot be written: "):
        write_output(tmp_path / "file" / "out.md", b"content")


def test_an_output_to_a_link_is_written_where_the_link_leads(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.md").symlink_to(tmp_path / "there" / "real.md")
    for content in (b"new", b"replaced"):
        write_output(tmp_path / "link.md", content)
        assert (tmp_path / "there" / "real.md").read_bytes() == content
    assert (tmp_path / "link.md").is_symlink()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["real.md"]
