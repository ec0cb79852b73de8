"""`kd report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import complete, printed


def test_report_to_the_terminal_and_to_a_file(toy, capsys, tmp_path):
    complete(toy)
    assert printed(capsys, "report", toy, "--format", "csv").out.count("\n") == 5  # a header and four students
    output = printed(capsys, "report", toy, "--format", "html", "-o", str(tmp_path / "toy.html"))
    assert (output.out, output.err) == ("", f"wrote {tmp_path / 'toy.html'}\n")
    assert "<table" in (tmp_path / "toy.html").read_text()


@pytest.mark.parametrize("option", ["-o"])
def test_a_place_that_cannot_be_written(toy, capsys, tmp_path, option):
    """Bad input where it is a folder, a failure where it is a full device; one sentence each."""
    complete(toy)
    (folder := tmp_path / "folder.png").mkdir()
    assert printed(capsys, "report", toy, option, str(folder), code=2).err == f"{folder} is a folder; name a file in it\n"
    (full := tmp_path / "full.png").symlink_to("/dev/full")
    assert (
        printed(capsys, "report", toy, option, str(full), code=1).err == f"{full} cannot be written: No space left on device\n"
    )
    assert Path("/dev/full").is_char_device()
