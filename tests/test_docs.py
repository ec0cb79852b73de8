"""What the docs say to type is typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from kd_core.methods.table import METHODS
from tests.support.paths import ROOT


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


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
