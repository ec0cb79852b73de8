"""A real file system that gets full under a run on Ray, or that the kernel turns read-only: what could not be written fails
with a sentence, and the same command goes on to the same when there is room again. At any step: see test_crash_points."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.driver import run
from orchestrator.store.store import Store
from tests.orchestrator.conftest import SMALL
from tests.orchestrator.executors.ray.test_executor import EPOCHS, beside, found, pid_in_epoch, start
from tests.orchestrator.test_driver import content

pytestmark = pytest.mark.slow


def mounted(place, *arguments):
    """A file system of this test's own, until it ends."""
    place.mkdir()
    made = subprocess.run(["mount", *arguments, place], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"file systems may not be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def disk(tmp_path):
    yield from mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64m", "kd-test")


@pytest.fixture
def image(tmp_path):
    """A disk in a file: ext4, as a server's is."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("nothing here makes an ext4 file system")
    file = tmp_path / "disk.img"
    with file.open("wb") as opened:
        opened.truncate(2**26)
    subprocess.run(["mkfs.ext4", "-q", file], check=True)
    return file


@pytest.fixture
def faulty(tmp_path, image):
    """A disk that the kernel turns read-only at its first error."""
    yield from mounted(tmp_path / "disk", "-o", "loop,errors=remount-ro", image)


def error(place):
    """Let the kernel find an error on the disk."""
    source = subprocess.run(["findmnt", "-n", "-o", "SOURCE", place], capture_output=True, text=True, check=True).stdout
    Path("/sys/fs/ext4", Path(source.strip()).name, "trigger_fs_error").write_text("asked for by a test")


def repaired(place, image):
    subprocess.run(["umount", "--lazy", place], check=True)
    subprocess.run(["e2fsck", "-p", "-f", image], capture_output=True)  # its code says whether it repaired anything
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, place], check=True)


def fill(file):
    """Write until there is no room."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while filler.write(bytes(2**16)):
            pass


def test_the_disk_gets_full_in_the_middle_of_a_training(disk, tmp_path):
    strike(
        tmp_path,
        disk,
        fault=lambda: fill(disk / "filler"),
        said="No space left on device",
        mend=(disk / "filler").unlink,
    )


@pytest.mark.skipif(not Path("/sys/fs/ext4").is_dir(), reason="this kernel has no ext4")
def test_the_kernel_turns_the_disk_read_only(faulty, image, tmp_path):
    strike(
        tmp_path,
        faulty,
        fault=lambda: error(faulty),
        said="Read-only file system",
        mend=lambda: repaired(faulty, image),
    )


def strike(tmp_path, disk, *, fault, said, mend):
    """A run on Ray with its store on that disk: struck in the middle of a training, and given again once it is mended."""
    undisturbed = tmp_path / "undisturbed.yaml"
    undisturbed.write_text(SMALL.format(store=tmp_path / "undisturbed"))
    outcome = run(undisturbed, executor="inline", overrides=EPOCHS)
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.format(store=disk / "store"))
    process = start(file)
    pid_in_epoch(process, file, "teacher")
    fault()
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    assert said in output
    assert "Traceback" not in output
    mend()
    process = start(file)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert found(file) == content(outcome.store, outcome.plan)
    assert beside(file) == []
    assert Store(disk / "store").leftovers() == set()
