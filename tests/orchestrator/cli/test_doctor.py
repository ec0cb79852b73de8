"""`kd doctor`."""

from __future__ import annotations

from orchestrator.cli import checks
from orchestrator.cli.app import main
from orchestrator.cli.checks import Check
from orchestrator.executors.executor import CannotRun
from orchestrator.executors.ray import cluster


def test_the_command_ends_with_1_where_a_check_fails(monkeypatch, capsys, tmp_path):
    def broken():
        raise ImportError("no libcuda")

    for name in ("versions", "torchvision", "ray"):
        monkeypatch.setattr(checks, name, lambda name=name: Check(name, True, "fine"))
    assert main(["doctor", "--store", str(tmp_path)]) == 0
    assert all(line.startswith("ok ") for line in capsys.readouterr().out.splitlines())
    monkeypatch.setattr(checks, "devices", broken)
    assert main(["doctor", "--store", str(tmp_path)]) == 1
    assert "wrong  devices      ImportError: no libcuda\n                    install the project" in capsys.readouterr().out


def test_what_is_to_be_done_depends_on_what_is_wrong(monkeypatch, capsys, tmp_path):
    def in_the_way():
        raise PermissionError(13, "Permission denied", "/dev/nvidia0")

    for name in ("versions", "torchvision"):
        monkeypatch.setattr(checks, name, lambda name=name: Check(name, True, "fine"))
    monkeypatch.setattr(checks, "devices", in_the_way)
    monkeypatch.setattr(cluster, "answer_s", no_room)
    assert main(["doctor", "--store", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "wrong  devices      PermissionError: [Errno 13] Permission denied: '/dev/nvidia0'\nok     torchvision" in told
    assert "wrong  ray          Ray cannot keep its files anywhere\n                    set RAY_TMPDIR\n" in told


def no_room():
    raise CannotRun("Ray cannot keep its files anywhere; set RAY_TMPDIR")
