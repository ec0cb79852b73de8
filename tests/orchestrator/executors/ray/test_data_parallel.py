"""Teachers that several workers train together, on a real cluster: what one worker makes, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.driver import run
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.arrow import read_table
from orchestrator.store.store import Store

pytestmark = pytest.mark.slow

SHARED = """\
name: shared
store: {store}
data: {{name: digits, train_size: 200}}
teachers: {{models: [resnet8], recipe: {{epochs: 12, batch_size: 32, lr: 0.1}}}}
probes: false
resources: {{teacher: {{workers: 2}}}}
tracking: {{enabled: false}}
"""


def written(folder: Path) -> Path:
    file = folder / "shared.yaml"
    file.write_text(SHARED.format(store=folder / "store"))
    return file


def start(file, *overrides):
    command = [sys.executable, "-c", "import sys; from orchestrator.cli.app import main; sys.exit(main())", "run", str(file)]
    command += [word for override in overrides for word in ("--set", override)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process, code=0, seconds=500):
    output, _ = process.communicate(timeout=seconds)
    assert process.returncode == code, output
    assert "Traceback" not in output
    return output


def opened(file, *overrides):
    spec = load(file, overrides)
    [job] = make(spec)
    return Store(spec.store), job


def made(file):
    """The entry and, by epoch and name, what was measured."""
    store, job = opened(file)
    entry = store.entry("teacher", job.key)
    rows = read_table(entry.file("history.arrow")).to_pylist()
    return entry, {(row["epoch"], row["name"]): row["value"] for row in rows}


def in_epoch(file, at_least=3, seconds=240):
    """The process of the first worker, as soon as it is past an epoch, and that of the other."""
    store, job = opened(file)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        progress = store.progress(job)
        if at_least <= progress.get("epoch", 0) < 11:
            return progress["pid"], beside(progress["pid"])
        time.sleep(0.02)
    raise AssertionError(f"it did not reach epoch {at_least}")


def beside(pid: int) -> int:
    """The other worker: Ray Train's, and a child of the same raylet."""

    def parent(of: int) -> str:
        return Path(f"/proc/{of}/stat").read_text().rpartition(")")[2].split()[1]

    for path in Path("/proc").glob("[0-9]*/cmdline"):
        other = int(path.parent.name)
        try:
            if other != pid and b"RayTrainWorker" in path.read_bytes() and parent(other) == parent(pid):
                return other
        except FileNotFoundError:
            continue
    raise AssertionError("there is no other worker")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process makes."""
    file = written(tmp_path_factory.mktemp("alone"))
    run(file, executor="inline")
    return made(file)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What two workers make."""
    file = written(tmp_path_factory.mktemp("undisturbed"))
    finish(start(file))
    return made(file)


def test_two_workers_make_what_one_makes_under_the_same_key(alone, undisturbed):
    """Sums are taken in another order, and rounding grows as training goes on: one process with two threads instead of one
    was seen to differ by 4 % in the loss and 2 points in the accuracy after 12 epochs. It can jump within an epoch, where
    activations that are equal, as over a black border, change their sign together: 10⁻³ within the first few was seen on one
    thread. That single steps agree is for the tests of kd_core to see."""
    (one, expected), (two, found) = alone, undisturbed
    assert one.manifest["key"] == two.manifest["key"]
    assert (one.manifest["resources"]["workers"], two.manifest["resources"]["workers"]) == (1, 2)
    assert found.keys() == expected.keys()
    for epoch in range(1, 4):
        assert found[epoch, "loss"] == pytest.approx(expected[epoch, "loss"], rel=0.05)
    assert two.results["test_accuracy_last"] == pytest.approx(one.results["test_accuracy_last"], abs=0.06)
    assert one.results["test_accuracy_last"] > 0.8, "it learns"


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_worker_is_replaced_and_training_goes_on_from_the_checkpoint(tmp_path, undisturbed, which):
    file = written(tmp_path)
    process = start(file)
    os.kill(in_epoch(file)[which], signal.SIGKILL)
    finish(process)
    entry, found = made(file)
    assert found == undisturbed[1], "to the same bits"
    assert entry.manifest["files"]["model.safetensors"] == undisturbed[0].manifest["files"]["model.safetensors"]


def test_a_killed_driver_goes_on_by_the_same_command(tmp_path, undisturbed):
    file = written(tmp_path)
    process = start(file)
    in_epoch(file)
    process.kill()
    process.communicate(timeout=60)
    store, job = opened(file)
    time.sleep(3)  # its workers go down with it
    epoch = store.progress(job)["epoch"]
    assert 3 <= epoch < 12
    finish(start(file))
    assert made(file)[1] == undisturbed[1]


def test_divergence_fails_the_job_at_once(tmp_path):
    file = written(tmp_path)
    output = finish(start(file, "teachers.recipe.lr=1e30"), code=1)
    assert "diverged in epoch 1" in output
    store, job = opened(file, "teachers.recipe.lr=1e30")
    assert store.failure(job)["type"] == "Diverged"


def test_more_workers_than_the_cluster_has_room_for_are_refused(tmp_path):
    output = finish(start(written(tmp_path), "resources.teacher.workers=4000"), code=2)
    assert "resources.teacher.workers asks for 4000 times 1 CPU and 0 GPU, but the nodes have room for" in output
