"""A small real experiment: digits, two teachers, five methods, seconds on one core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.object_store import ObjectStore

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
TINY = """\
name: tiny
store: {store}
data: {{name: digits, train_size: 60}}
teachers:
  models: resnet8
  recipe: {{epochs: 1}}
students:
  models: resnet8
  methods: [none, kd]
  recipe: {{epochs: 1}}
bank: {{mode: "off"}}
tracking: {{enabled: false}}
"""


@pytest.fixture
def small(tmp_path) -> Path:
    """The experiment's file; its store is beside it."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.format(store=tmp_path / "store"))
    return file


@pytest.fixture
def tiny(tmp_path) -> Path:
    """The file of the smallest experiment; its store is beside it."""
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY.format(store=tmp_path / "store"))
    return file


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Tables and sentences do not depend on the terminal that the tests run in."""
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(scope="session")
def served() -> Iterator[ObjectStore]:
    from tests.support.object_store import ObjectStore

    found = ObjectStore.start()
    yield found
    found.server.stop()


@pytest.fixture
def s3(served, tmp_path, monkeypatch) -> ObjectStore:
    """An object store, with credentials for it in the environment and a cache of this test's own."""
    from tests.support.object_store import ENVIRONMENT

    for name, value in {**ENVIRONMENT, "KD_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("orchestrator.store.backends.lease.SETTLE_S", 0.05)
    return served


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path) -> str:
    """Where a store can be: a folder, and a place in an object store."""
    return str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3").uri()
