"""Files with mistakes, and what must be said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError

DATA = "data: {name: digits}\n"
TOP = "name: x\n" + DATA  # lines 1 and 2
TEACHERS = "teachers: {models: resnet20}\n"
HEAD = TOP + TEACHERS  # line 3
STUDENTS = HEAD + "students:\n  models: resnet8\n  methods:\n"  # lines 4 to 6

Wrong = dict[str, tuple[str, list[str]]]  # a text, and what follows the file's name in every line of the error


def check(text: str, expected: list[str], folder: Path) -> None:
    """Loading ``text`` says what is ``expected``, in this order, and nothing else; it leaves nothing behind."""
    file = folder / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as error:
        load(file)
    lines = str(error.value).splitlines()
    wanted = [f"{file}{problem.replace('FILE', str(file))}" for problem in expected]
    assert [line[: len(start)] for line, start in zip(lines, wanted, strict=False)] == wanted
    assert len(lines) == len(error.value.problems) == len(expected), lines
    assert [path.name for path in folder.iterdir()] == ["wrong.yaml"]
