"""`kd doctor`."""

from __future__ import annotations

from orchestrator.cli import checks
from orchestrator.cli.app import main
from orchestrator.cli.checks import Check


def test_the_command_ends_with_1_where_a_check_fails(monkeypatch, capsys, tmp_path):
    def broken():
        raise ImportError("no libcuda")

    for name in ("versions", "torchvision", "ray"):
        monkeypatch.setattr(checks, name, lambda name=name: Check(name, True, "fine"))
    assert main(["doctor", "--store", str(tmp_path)]) == 0
    assert all(line.startswith("ok ") for line in capsys.readouterr().out.splitlines())
    monkeypatch.setattr(checks, "devices", broken)
    assert main(["doctor", "--store", str(tmp_path)]) == 1
    assert "wrong  devices      ImportError: no libcuda\n" in capsys.readouterr().out
