"""The file of an experiment whose store is made by hand."""

from __future__ import annotations

import pytest

from tests.support.command_line import YAML


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The file; its folder is where the command is given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    path = tmp_path / "toy.yaml"
    path.write_text(YAML.format(store=tmp_path / "store"))
    return str(path)
