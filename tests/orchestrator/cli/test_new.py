"""`kd new`: what it writes works, and it writes over nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kd_core.plugins.tables import use
from orchestrator.cli.app import main
from orchestrator.cli.new import What

KINDS = list(What)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    use([])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_obeys_the_laws_and_passes_its_test(kind, tmp_path, capsys):
    assert main(["new", kind, "my_own"]) == 0
    assert "plugins: [my_own.py]" in capsys.readouterr().out
    assert "mine" not in (tmp_path / "my_own.py").read_text().casefold()
    assert main(["check", "my_own.py"]) == 0
    assert "BROKEN" not in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_own.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(
    ("kind", "name", "problem"),
    [
        ("method", "kd", "there is a method 'kd' already"),
        ("model", "resnet8", "there is a model 'resnet8' already"),
        ("evaluation", "transfer", "there is an evaluation 'transfer' already"),
        ("method", "my-own", "'my-own' must be a name of letters"),
        ("method", "class", "'class' must be a name of letters"),
        ("method", "torch", "a module 'torch' is installed"),
        ("methods", "own", "'methods' is not one of"),
    ],
)
def test_a_name_that_cannot_be(kind, name, problem, tmp_path, capsys):
    assert main(["new", kind, name]) == 2
    assert problem in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["own.py", "test_own.py"])
def test_a_file_that_is_there_is_left_as_it_is(there, tmp_path, capsys):
    (tmp_path / there).write_text("precious")
    assert main(["new", "method", "own"]) == 2
    assert f"{there} exists" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["new", "method", "own", "--folder", "nowhere"]) == 2
    assert "nowhere is no directory" in capsys.readouterr().err
