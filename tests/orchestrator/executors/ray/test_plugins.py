"""Plugins on a real Ray cluster: the same bits as inline, on two workers here and by `kd submit` elsewhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kd_core.plugins.tables import use
from orchestrator import driver
from orchestrator.store.store import Store
from tests.support.plugin_files import EXPERIMENT, METHOD, OTHERS
from tests.support.ray_head import environment, ray_head


@pytest.fixture(autouse=True)
def ours_alone():
    yield
    use([])


def brought(folder):
    """The experiment in a folder of its own, with its plugins beside it and its store in it."""
    folder.mkdir()
    (folder / "mine.py").write_text(METHOD)
    (folder / "others.py").write_text(OTHERS)
    file = folder / "brought.yaml"
    file.write_text(EXPERIMENT.format(store=folder / "store"))
    return file


def students(plan, store):
    """The weights of every student, by SHA-256."""
    found = {job.key: store.entry(job.kind, job.key) for job in plan.of("student")}
    return {key: entry.manifest["files"]["model.safetensors"]["sha256"] for key, entry in found.items()}


@pytest.mark.slow
def test_a_grid_with_a_search_on_two_workers_and_where_it_is_submitted(tmp_path):
    found = {}
    for executor in ("inline", "ray"):
        outcome = driver.run(str(brought(tmp_path / executor)), executor=executor)
        assert (outcome.failed, outcome.blocked) == ((), ())
        assert outcome.computed == len(outcome.plan)
        found[executor] = students(outcome.plan, outcome.store)
    assert found["ray"] == found["inline"]

    file, token = brought(tmp_path / "sent"), "a token of this test"
    with ray_head(token) as head:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "submit", file.name, "--address", head.dashboard],
            cwd=file.parent,
            env=environment(RAY_AUTH_TOKEN=token),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert students(outcome.plan, Store(file.parent / "store")) == found["inline"]
