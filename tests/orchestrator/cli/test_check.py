"""`kd check`: which law is broken, and where, in words."""

from __future__ import annotations

import pytest

from kd_core.plugins.tables import use
from orchestrator.cli.app import main
from tests.support.plugin_files import METHOD, OTHERS


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    use([])


def test_a_plugin_that_obeys(tmp_path, capsys):
    (tmp_path / "others.py").write_text(OTHERS)
    assert main(["check", "others.py"]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line[0] != " "] == [
        "MODELS['small']",
        "DATASETS['squares']",
        "EVALUATIONS['surest']",
        "20 laws hold",
    ]


def test_a_broken_law_is_told_with_file_and_line(tmp_path, capsys):
    broken = METHOD.replace('"apart": self.config.weight * apart}', '"apart": self.config.weight * apart.detach() / 0}')
    (tmp_path / "mine.py").write_text(broken)
    assert main(["check", "mine.py"]) == 1
    captured = capsys.readouterr()
    line = 1 + broken.splitlines().index("class Mine(Method):")
    assert "BROKEN  terms: " in captured.out
    assert f"mine.py:{line}: `apart` is inf" in captured.out
    assert f"mine.py:{line}: the term `apart` has no gradient at all" in captured.out
    assert captured.out.splitlines()[-1].endswith("laws broken")
    assert "Traceback" not in captured.out + captured.err


def test_what_its_own_code_raises_is_told_with_its_line(tmp_path, capsys):
    wrong = METHOD.replace("student.logits_BK, batch)", "student.logits_BK, batch.lables_B)")
    (tmp_path / "mine.py").write_text(wrong)
    assert main(["check", "mine.py"]) == 1
    line = next(number for number, text in enumerate(wrong.splitlines(), 1) if "lables_B" in text)
    assert f"mine.py:{line}: raises AttributeError: 'Batch' object has no attribute 'lables_B'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [
        (None, (), "no such file"),
        ("METHODS = {", (), "mine.py:1: '{' was never closed"),
        ("x = 1", (), "holds none of the tables"),
        ("METHODS = {}", (), "brings nothing"),
        ("METHODS = {'own': 3}", (), "mine.py:1: METHODS['own'] must be a class"),
        (METHOD, ("--only", "yours"), "mine.py has no yours; it has mine"),
    ],
)
def test_what_cannot_be_checked(tmp_path, capsys, text, more, problem):
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    assert main(["check", "mine.py", *more]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert problem in err
    assert "Traceback" not in err
