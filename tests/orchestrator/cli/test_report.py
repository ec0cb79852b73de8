"""`kd report`."""

from __future__ import annotations

from tests.support.command_line import complete, printed


def test_report_to_the_terminal_and_to_a_file(toy, capsys, tmp_path):
    complete(toy)
    assert printed(capsys, "report", toy, "--format", "csv").out.count("\n") == 5  # a header and four students
    output = printed(capsys, "report", toy, "--format", "html", "-o", str(tmp_path / "toy.html"))
    assert (output.out, output.err) == ("", f"wrote {tmp_path / 'toy.html'}\n")
    assert "<table" in (tmp_path / "toy.html").read_text()
