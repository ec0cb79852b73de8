"""A real file system that gets full under a run on Ray: what could not be written fails with a sentence, and the same command
goes on to the same when there is room again. One that is read-only from some step on: see test_crash_points."""

from __future__ import annotations

import contextlib
import subprocess

import pytest

from orchestrator.driver import run
from orchestrator.store.store import Store
from tests.orchestrator.conftest import SMALL
from tests.orchestrator.executors.ray.test_executor import EPOCHS, beside, found, pid_in_epoch, start
from tests.orchestrator.test_driver import content

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path):
    """A file system in memory, of this test's own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "kd-test", place], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"file systems may not be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(file):
    """Write until there is no room."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while filler.write(bytes(2**16)):
            pass


def test_the_disk_gets_full_in_the_middle_of_a_training(disk, tmp_path):
    undisturbed = tmp_path / "undisturbed.yaml"
    undisturbed.write_text(SMALL.format(store=tmp_path / "undisturbed"))
    outcome = run(undisturbed, executor="inline", overrides=EPOCHS)
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.format(store=disk / "store"))
    process = start(file)
    pid_in_epoch(process, file, "teacher")
    fill(disk / "filler")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    assert "No space left on device" in output
    assert "Traceback" not in output
    (disk / "filler").unlink()
    process = start(file)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert found(file) == content(outcome.store, outcome.plan)
    assert beside(file) == []
    assert Store(disk / "store").leftovers() == set()
