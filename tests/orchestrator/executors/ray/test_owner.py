"""``--address auto`` joins no stranger's cluster."""

from __future__ import annotations

import os

import pytest

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.ray.cluster import connect
from orchestrator.executors.ray.owner import FILE, require_own_cluster


@pytest.fixture
def named(tmp_path, monkeypatch):
    """The file in which Ray looks for an address."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    file = tmp_path / "ray" / FILE
    file.write_text("10.0.0.9:6379")
    return file


def test_a_stranger_s_cluster_is_refused_by_name(named, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    real = os.lstat(named)
    monkeypatch.setattr(type(named), "lstat", lambda self: os.stat_result((*real[:4], 3_999_999, *real[5:])))
    for join in (require_own_cluster, lambda: connect("auto")):
        with pytest.raises(
            CannotRun, match=r"the Ray cluster that the user 3999999 started .*; if that is meant, give --address"
        ):
            join()
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.9:6379")
    require_own_cluster()


def test_one_s_own_and_none_are_not(named):
    require_own_cluster()
    named.unlink()
    require_own_cluster()
