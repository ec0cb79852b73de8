"""What the docs say to type is typed."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer.main
from ruamel.yaml import YAML
from safetensors.torch import save_file

from kd_core.methods.table import METHODS
from kd_core.plugins.tables import use
from orchestrator.cli.app import app, main
from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError
from tests.support.paths import ROOT

PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
REST = {
    "name": "x",
    "data": {"name": "cifar100"},
    "teachers": {"models": ["resnet56"]},
    "students": {"models": ["resnet8x4"], "methods": ["none"], "recipe": {"epochs": 8}},
}  # of an experiment of which a page shows a part


def blocks(page: str, language: str) -> list[str]:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    return re.findall(rf"^```{language}\n(.*?)^```", (folder / page).read_text(), re.DOTALL | re.MULTILINE)


def every(language: str) -> list:
    """Every block of every page, named by its page and number."""
    found = [(page.removeprefix("docs/"), language) for page in PAGES]
    return [pytest.param(block, id=f"{page}:{n}") for page, _ in found for n, block in enumerate(blocks(page, language))]


def kd(folder: Path, *words: str) -> str:
    """Run a command where a user would: in the folder of the experiment, with nothing of ours beside it."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_method_is_in_the_page_of_methods():
    page = (ROOT / "docs" / "methods.md").read_text()
    several = page[: page.index("## Against")]
    rows = re.findall(r"^\| (`.*?) \|", several, re.MULTILINE)
    assert set(METHODS) == {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_adding_a_method_as_it_is_written(tmp_path):
    """Its method is what `kd new method mine` writes."""
    kd(tmp_path, "new", "method", "mine")
    assert (tmp_path / "mine.py").read_text() == blocks("adding-a-method.md", "python")[0]
    assert "laws hold" in kd(tmp_path, "check", "mine.py")
    (tmp_path / "mine.py").write_text(blocks("adding-a-method.md", "python")[0])
    (tmp_path / "mine.yaml").write_text(blocks("adding-a-method.md", "yaml")[0])
    assert "mine" in kd(tmp_path, "list", "methods", "--plugin", "mine.py")
    assert "beta" in kd(tmp_path, "list", "methods", "mine", "--plugin", "mine.py")
    assert '"mine"' in kd(tmp_path, "schema", "--plugin", "mine.py")
    kd(tmp_path, "plan", "mine.yaml")
    assert "mgd" in kd(tmp_path, "run", "mine.yaml", "--executor", "inline")
    assert "mine" in kd(tmp_path, "report", "mine.yaml")


@pytest.mark.parametrize("block", every("yaml"))
def test_every_experiment_of_the_pages_can_be_planned(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written = YAML(typ="safe").load(block)
    for folder in (tmp_path / "weights", tmp_path):
        folder.mkdir(exist_ok=True)
        save_file({"fc.weight": torch.zeros(1)}, folder / "w.safetensors")
        (folder / "resnet32x4.pth").write_bytes((folder / "w.safetensors").read_bytes())
    (tmp_path / "mine.py").write_text(blocks("adding-a-method.md", "python")[0])
    with (tmp_path / "x.yaml").open("w") as file:
        YAML(typ="safe").dump(REST | written, file)
    try:
        for command in ("plan", "report"):
            assert main([command, "x.yaml"]) == 0, capsys.readouterr().err
    finally:
        use([])


@pytest.mark.parametrize("block", every("sh"))
def test_every_command_of_the_pages_has_its_options(block):
    commands = typer.main.get_command(app).commands
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["kd"]:
            known = {
                option for parameter in commands[words[1]].params for option in (*parameter.opts, *parameter.secondary_opts)
            }
            assert {word for word in words if word.startswith("-")} <= known, line


@pytest.mark.parametrize("block", every("python"))
def test_every_python_of_the_pages_is_python(block):
    ast.parse(block)


def test_the_mistakes_that_the_readme_shows_are_told_as_it_shows_them(tmp_path):
    [wrong] = re.findall(r"^```\n(mine\.yaml:.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    written = blocks("README.md", "yaml")[0]
    for right, mistaken in {
        "resnet32x4,": "resnet32x5,",
        "- gpac\n": "- gpac: {tau_probe: -1}\n",
        "  recipe: {epochs: 240, lr: 0.05}\nres": "  recipe: {epoch: 240}\nres",
    }.items():
        assert written.count(right) == 1
        written = written.replace(right, mistaken)
    (tmp_path / "mine.yaml").write_text(written)
    with pytest.raises(SpecError) as refused:
        load(str(tmp_path / "mine.yaml"))
    assert str(refused.value).replace(f"{tmp_path}/", "") + "\n" == wrong
