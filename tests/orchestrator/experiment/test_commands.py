"""The command of an experiment, as a shell takes it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.experiment.commands import command


def test_the_same_command_is_told_as_it_must_be_typed():
    output = command("ui", Path("my file.yaml"), ["students.seeds=[0, 1]"], "s")
    assert output == "kd ui 'my file.yaml' --store s --set 'students.seeds=[0, 1]'"
