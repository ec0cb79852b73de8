"""Plugins on a real Ray cluster of two workers: the same bits as inline, and no worker reads the file beside the experiment."""

from __future__ import annotations

import pytest

from kd_core.plugins.tables import use
from orchestrator import driver
from tests.support.plugin_files import EXPERIMENT, METHOD, OTHERS


@pytest.fixture(autouse=True)
def ours_alone():
    yield
    use([])


@pytest.mark.slow
def test_a_grid_with_a_search_on_two_workers(tmp_path):
    found = {}
    for executor in ("inline", "ray"):
        folder = tmp_path / executor
        folder.mkdir()
        (folder / "mine.py").write_text(METHOD)
        (folder / "others.py").write_text(OTHERS)
        (folder / "brought.yaml").write_text(EXPERIMENT.format(store=folder / "store"))
        outcome = driver.run(str(folder / "brought.yaml"), executor=executor)
        assert (outcome.failed, outcome.blocked) == ((), ())
        assert outcome.computed == len(outcome.plan)
        found[executor] = {
            job.key: outcome.store.entry(job.kind, job.key).manifest["files"]["model.safetensors"]["sha256"]
            for job in outcome.plan.of("student")
        }
    assert found["ray"] == found["inline"]
