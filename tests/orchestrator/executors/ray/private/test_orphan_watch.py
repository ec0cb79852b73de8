"""Ray's core still reads the variable, and it is set while ray is imported and not afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import ray

from orchestrator.executors.ray.private.orphan_watch import WATCHED, watch_this_process


def test_rays_core_reads_the_variable():
    assert WATCHED.encode() in Path(ray._raylet.__file__).read_bytes()


def test_it_is_this_process_and_only_within(monkeypatch):
    monkeypatch.delenv(WATCHED, raising=False)
    with watch_this_process():
        assert os.environ[WATCHED] == str(os.getpid())
    assert WATCHED not in os.environ


def test_in_a_job_of_a_cluster_ray_has_set_it(monkeypatch):
    monkeypatch.setenv(WATCHED, "7")
    with watch_this_process():
        assert os.environ[WATCHED] == "7"
    assert os.environ[WATCHED] == "7"
