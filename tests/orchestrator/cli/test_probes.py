"""`kd probes`."""

from __future__ import annotations

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
