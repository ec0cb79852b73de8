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


def test_what_is_needed_to_run_it_again(toy, capsys):
    complete(toy)
    out = printed(capsys, "report", toy, "--set", "students.seeds=[0, 1]").out
    assert f"kd run {toy} --set 'students.seeds=[0, 1]'" in out
    assert Path(toy).read_text().strip() in out


def test_figures_another_experiment_and_a_template(toy, capsys, tmp_path):
    complete(toy)
    output = printed(capsys, "report", toy, "--figures", str(tmp_path / "figures"), "--compare", toy)
    assert "## Compared with toy (other)" in output.out
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"accuracy-by-method.pdf", "accuracy-by-method.png"} <= names
    assert output.err == f"wrote {len(names)} files to {tmp_path / 'figures'}\n"
    (tmp_path / "own.j2").write_text("{{ document.name }}")
    assert printed(capsys, "report", toy, "--template", str(tmp_path / "own.j2")).out == "toy"
    assert "does not exist" in printed(capsys, "report", toy, "--template", "absent.j2", code=2).err
    assert "does not exist" in printed(capsys, "report", toy, "--compare", "absent.yaml", code=2).err


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
