"""`kd list`."""

from __future__ import annotations

from tests.support.command_line import printed


def test_lists(capsys):
    assert "gpac" in printed(capsys, "list", "methods").out
    of_one = printed(capsys, "list", "methods", "gpac").out
    assert "10.1016/j.neunet.2023.04.015" in of_one
    assert [line.split()[:4] for line in of_one.splitlines() if line.startswith("gamma")] == [["gamma", "0.5", ">=", "0"]]
    assert "did you mean 'gpac'" in printed(capsys, "list", "methods", "gpak", code=2).err
    assert "0.28 M" in printed(capsys, "list", "models").out
    of_one = printed(capsys, "list", "models", "resnet8").out
    assert ["layer2", "32×16×16"] in [line.split() for line in of_one.splitlines()]
    assert ["head.weight", "100×64", "float32"] in [line.split() for line in of_one.splitlines()]
    assert "did you mean resnet32x4" in printed(capsys, "list", "models", "resnet32x5", code=2).err
    assert "1,438" in printed(capsys, "list", "datasets").out
    assert "accuracy@0.05, accuracy@0.1" in printed(capsys, "list", "evaluations").out
    of_one = printed(capsys, "list", "evaluations", "calibration").out
    assert "Numbers: ece (less is better), nll" in of_one
    assert "bins" in of_one
    assert "did you mean 'robustness'" in printed(capsys, "list", "evaluations", "robust", code=2).err
