"""`kd probes`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import complete, printed


def test_probes_as_table_plot_and_arrow(toy, capsys, tmp_path):
    complete(toy)
    out = printed(capsys, "probes", toy, "--plot", str(tmp_path / "p.png"), "--arrow", str(tmp_path / "p.arrow")).out
    assert "resnet14-s0" in out
    assert "70.00" in out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    from orchestrator.store.arrow import read_table

    assert read_table(tmp_path / "p.arrow").num_rows == 6  # two teachers, three layers


def test_probes_before_there_are_any(toy, capsys, tmp_path):
    output = printed(capsys, "probes", toy, "--plot", str(tmp_path / "p.png"), code=1)
    assert output.err == "no teacher of toy has been probed yet\n"


@pytest.mark.parametrize("option", ["--plot", "--arrow"])
def test_a_place_that_cannot_be_written(toy, capsys, tmp_path, option):
    """Bad input where it is a folder, a failure where it is a full device; one sentence each."""
    complete(toy)
    (folder := tmp_path / "folder.png").mkdir()
    assert printed(capsys, "probes", toy, option, str(folder), code=2).err == f"{folder} is a folder; name a file in it\n"
    (full := tmp_path / "full.png").symlink_to("/dev/full")
    assert (
        printed(capsys, "probes", toy, option, str(full), code=1).err == f"{full} cannot be written: No space left on device\n"
    )
    assert Path("/dev/full").is_char_device()


def test_a_picture_of_no_known_kind(toy, capsys, tmp_path):
    complete(toy)
    error = printed(capsys, "probes", toy, "--plot", str(tmp_path / "p.doc"), code=2).err
    assert error == f"{tmp_path / 'p.doc'}: a picture's name ends in .png, .svg, .pdf, not in .doc\n"
