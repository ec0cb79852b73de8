"""A small real experiment: digits, two teachers, five methods, seconds on one core."""

from __future__ import annotations

from pathlib import Path

import pytest

SMALL = """\
name: small
store: {store}
data: {{name: digits, train_size: 100}}
teachers:
  models: [resnet8, wrn_16_1]
  recipe: {{epochs: 2, batch_size: 32}}
students:
  models: [resnet8]
  seeds: [0, 1]
  methods: [none, kd, at, aver, gpac]
  recipe: {{epochs: 2, batch_size: 32}}
bank: {{mode: on}}
tracking: {{enabled: false}}
"""


@pytest.fixture
def small(tmp_path) -> Path:
    """The experiment's file; its store is beside it."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.format(store=tmp_path / "store"))
    return file


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Tables and sentences do not depend on the terminal that the tests run in."""
    monkeypatch.setenv("COLUMNS", "160")
