"""Artifacts: every name and schema once, and what is read of an entry is what was committed."""

from __future__ import annotations

import pyarrow as pa
import pytest
import torch

from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.store.arrow import write_table
from orchestrator.store.artifacts import ARTIFACTS, HISTORY, MODEL, PROBES, TRIALS, Table
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store
from tests.support.least import least
from tests.support.paths import ROOT

JOB = Job("teacher", 1, {"model": "resnet8"}, {}, "resnet8-s0")
ROW = {"epoch": 1, "time_ms": 1000, "seconds": 1.0, "name": "loss", "value": 0.5}


@pytest.fixture
def store(place):
    return Store(place)


def entry(store, *fill):
    attempt = store.begin(JOB)
    for write in fill:
        write(attempt.path)
    attempt.commit(least(JOB.kind), 1.0)
    return store.entry(JOB.kind, JOB.key)


def history(folder):
    HISTORY.write(pa.Table.from_pylist([ROW], schema=HISTORY.schema), folder)


def test_a_name_stands_in_no_other_source_file():
    sources = [path for package in ("kd_core", "orchestrator") for path in (ROOT / package).rglob("*.py")]
    for artifact in ARTIFACTS.values():
        holders = [path.name for path in sources if f'"{artifact.name}"' in path.read_text()]
        assert holders == ["artifacts.py"], artifact.name


def test_what_a_kind_shows_in_mlflow_is_an_artifact():
    for kind in KINDS.values():
        assert ARTIFACTS.keys() >= {*kind.attached, *kind.tabulated}
        assert all(isinstance(ARTIFACTS[name], Table) for name in kind.tabulated)


def test_tensors_and_tables_come_back(store):
    weights = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3)}  # one that is not contiguous
    found = entry(store, lambda folder: MODEL.write(weights, folder), history)
    assert {name: tensor.tolist() for name, tensor in MODEL.read(found).items()} == {"a": [[0, 3], [1, 4], [2, 5]], "b": 3}
    assert HISTORY.read(found).to_pylist() == [ROW]
    assert (MODEL.is_in(found), HISTORY.is_in(found), PROBES.is_in(found)) == (True, True, False)


def test_another_schema_is_not_written_and_not_read(store, tmp_path):
    table = pa.Table.from_pylist([{"epoch": 1, "name": "loss"}])
    with pytest.raises(AssertionError, match="a schema of its own"):
        HISTORY.write(table, tmp_path)
    found = entry(store, lambda folder: write_table(table, folder / HISTORY.name))
    with pytest.raises(CorruptEntry, match=f"{HISTORY.name} is not such a table"):
        HISTORY.read(found)


def test_what_is_no_table_is_told(store):
    found = entry(store, lambda folder: (folder / TRIALS.name).write_bytes(b"no Arrow"))
    with pytest.raises(CorruptEntry, match=f"{TRIALS.name} is not such a table"):
        TRIALS.read(found)


def test_a_table_that_was_rewritten_in_a_committed_entry_is_not_read(tmp_path):
    """Of the same size, so that no look at sizes finds it; also where the process has read it before."""
    store = Store(tmp_path / "store")
    found = entry(store, history)
    assert HISTORY.read(found)["value"].to_pylist() == [0.5]
    forged = pa.Table.from_pylist([{**ROW, "value": 0.99}], schema=HISTORY.schema)
    HISTORY.write(forged, found.file(HISTORY.name).parent)
    assert store.find(JOB.kind, JOB.key), "its size is the same"
    with pytest.raises(CorruptEntry, match=f"{HISTORY.name} does not have its SHA-256"):
        HISTORY.read(found)
