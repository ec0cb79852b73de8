"""A real Slurm of two nodes on this machine: what `kd submit --slurm` makes there is what a plain run makes, bit by bit."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator import driver
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.planning.presence import run_of
from orchestrator.planning.state import checkpointed
from orchestrator.store.store import Store
from tests.orchestrator.conftest import TINY
from tests.orchestrator.test_driver import content
from tests.support.paths import ROOT
from tests.support.slurm import running_slurm, why_not

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]

EPOCHS = ("teachers.seeds=[0,1]", "teachers.recipe.epochs=12", "students.recipe.epochs=12")


@pytest.fixture(scope="module")
def slurm():
    with running_slurm() as slurm:
        yield slurm


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What an undisturbed run makes of the experiment on this machine alone."""
    folder = tmp_path_factory.mktemp("inline")
    file = folder / "tiny.yaml"
    file.write_text(TINY.format(store=folder / "store"))
    outcome = driver.run(file, executor="inline", overrides=EPOCHS)
    return content(outcome.store, outcome.plan)


def processes_of(job):
    """The living processes of a job, whoever their parent is by now."""
    wanted = f"SLURM_JOB_ID={job}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


class Sent:
    """An experiment that was sent to Slurm from a folder of its own."""

    def __init__(self, slurm, folder, *options, sets=EPOCHS, code=0):
        folder.mkdir(exist_ok=True)
        self.slurm, self.file, self.folder = slurm, folder / "tiny.yaml", folder
        self.file.write_text(TINY.format(store=folder / "store"))
        spec = load(self.file, sets)
        self.plan, self.store = make(spec), Store(spec.store)
        command = [sys.executable, "-m", "orchestrator", "submit", str(self.file), *options, "--slurm", "cpus-per-task=1"]
        for change in sets:
            command += ["--set", change]
        environment = {**os.environ, **slurm.env, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        self.job, self.said = done.stdout.strip(), done.stderr

    @property
    def printed(self):
        return "\n".join(path.read_text() for path in sorted((self.folder / "slurm").glob("*")))

    def says(self, text):
        """Wait until it has printed that: Slurm puts a job back before its processes have ended."""
        until = time.monotonic() + 30
        while text not in self.printed:
            assert time.monotonic() < until, self.printed
            time.sleep(0.1)

    def ends(self, state="COMPLETED"):
        assert self.slurm.until(self.job, "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED") == state, self.printed

    def trains(self, epochs=2):
        """Wait until a teacher is past some epochs."""
        until = time.monotonic() + 120
        while not any(self.store.progress(job).get("epoch", 0) > epochs for job in self.plan.of("teacher")):
            assert time.monotonic() < until, self.printed
            time.sleep(0.05)


def test_two_jobs_of_ray_on_one_node_at_the_same_time(slurm, tmp_path, expected):
    """They see each other's ports and /tmp; each has its own cluster."""
    sent = [Sent(slurm, tmp_path / name, "--slurm", "time=10", "--slurm", "extra=--nodelist=n1") for name in ("a", "b")]
    for each in sent:
        each.trains()
    assert all(slurm.state(each.job) == "RUNNING" for each in sent), "they were there at the same time"
    for each in sent:
        each.ends()
        assert content(each.store, each.plan) == expected


def test_one_cluster_over_two_nodes(slurm, tmp_path, expected):
    sent = Sent(slurm, tmp_path / "a", "--slurm", "time=10", "--slurm", "nodes=2")
    sent.ends()
    assert content(sent.store, sent.plan) == expected
    assert "did not come up" not in sent.printed
    assert "error" not in sent.printed, "its nodes ended in order"
    assert not Path(f"/tmp/kd-{os.getuid()}-{sent.job}").exists()


def test_an_array_whose_workers_are_told_to_end_goes_on_by_itself(slurm, tmp_path, expected):
    sent = Sent(slurm, tmp_path / "a", "--slurm-array", "2", "--slurm", "time=10")
    sent.trains()
    slurm.call("scancel", "--signal=USR1", "--batch", sent.job)
    slurm.until_begun_again(f"{sent.job}_0")
    sent.says("Kept of what was at work")
    sent.says("is put back into the queue")
    for index in (0, 1):
        assert slurm.until(f"{sent.job}_{index}", "COMPLETED", "FAILED") == "COMPLETED", sent.printed
    assert content(sent.store, sent.plan) == expected


def test_a_time_limit_that_is_too_short(slurm, tmp_path):
    """The job is told of it, keeps what it has, and begins again; this one, which has no end, is cancelled then."""
    endless = ("teachers.recipe.epochs=100000", "students.methods=[none]")
    asked = ("--slurm-array", "1", "--slurm", "time=2", "--slurm", "signal=60")
    sent = Sent(slurm, tmp_path / "a", *asked, sets=endless)
    slurm.until_begun_again(f"{sent.job}_0")
    sent.says("Stopped by SIGUSR1")
    [teacher] = sent.plan.of("teacher")
    assert checkpointed(sent.store.work(teacher)) > 0
    slurm.call("scancel", sent.job)


def test_a_job_that_makes_room_for_a_more_urgent_one(slurm, tmp_path):
    endless = ("teachers.recipe.epochs=100000", "students.methods=[none]")
    sent = Sent(slurm, tmp_path / "a", "--slurm-array", "1", "--slurm", "time=10", sets=endless)
    sent.trains()
    urgent = slurm.call(
        "sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true"
    ).strip()
    slurm.until_begun_again(f"{sent.job}_0")
    sent.says("Stopped by SIGTERM. Kept of what was at work")
    sent.says("it begins again by itself where it was preempted")
    assert "Slurm refuses it" not in sent.printed
    slurm.until(urgent, "COMPLETED")
    slurm.call("scancel", sent.job)


def test_a_job_that_is_cancelled_leaves_nothing_at_work_and_a_plain_run_goes_on(slurm, tmp_path, expected):
    sent = Sent(slurm, tmp_path / "a", "--slurm", "time=10")
    sent.trains()
    slurm.call("scancel", sent.job)
    sent.ends("CANCELLED")
    until = time.monotonic() + 30
    while left := processes_of(sent.job) or run_of("tiny", sent.store):  # a process's memory goes before its locks
        assert time.monotonic() < until, left
        time.sleep(0.2)
    assert "put back" not in sent.printed
    assert not any(sent.store.worker(job) for job in sent.plan)
    driver.run(sent.file, executor="inline", overrides=EPOCHS)
    assert content(sent.store, sent.plan) == expected


def test_a_store_that_the_nodes_do_not_share(slurm, tmp_path):
    """Here the store is another one by the time the job begins, as where each machine has a /scratch of its own."""
    sent = Sent(slurm, tmp_path / "a", "--slurm", "time=10", "--slurm", "extra=--begin=now+3")
    (tmp_path / "a" / "store" / "identity").write_text("0123456789ab")
    sent.ends("FAILED")
    assert "does not see the store" in sent.printed
    assert not (tmp_path / "a" / "store" / "teacher").exists()


def test_what_slurm_refuses(slurm, tmp_path):
    sent = Sent(slurm, tmp_path / "a", "--slurm", "partition=gpu", code=2)
    assert "Slurm refuses it" in sent.said
    assert "invalid partition" in sent.said
