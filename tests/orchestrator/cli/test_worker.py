"""`kd worker`: any number of processes that know of each other by the store alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from orchestrator import driver
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.planning.presence import workers_of
from orchestrator.planning.state import checkpointed
from orchestrator.store.store import Store
from tests.orchestrator.conftest import SMALL
from tests.orchestrator.test_driver import content
from tests.support.command_line import printed
from tests.support.paths import ROOT
from tests.support.several_runs import SeveralRuns

EPOCHS = ("teachers.recipe.epochs=12", "students.recipe.epochs=12", "students.seeds=[0]")


def start(file, *options, sets=EPOCHS):
    command = [sys.executable, "-m", "orchestrator", "worker", str(file), *options]
    for change in sets:
        command += ["--set", change]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, text=True, env=environment, **streams)


def ended(process, code=0):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code, said
    return said


def until(condition, *processes, seconds=200):
    end = time.monotonic() + seconds
    while not condition():
        for process in processes:
            assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What an undisturbed run makes of the experiment."""
    folder = tmp_path_factory.mktemp("inline")
    file = folder / "small.yaml"
    file.write_text(SMALL.format(store=folder / "store"))
    outcome = driver.run(file, executor="inline", overrides=EPOCHS)
    return content(outcome.store, outcome.plan)


@pytest.mark.slow
def test_workers_share_an_experiment_whoever_is_killed(place, tmp_path, expected):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.format(store=place))
    spec = load(file, EPOCHS)
    plan, store = make(spec), Store(spec.store)
    first, second = start(file), start(file)
    until(lambda: any(checkpointed(store.work(job)) > 2 for job in plan.of("teacher")), first, second)
    assert len(workers_of(spec.name, store)) == 2
    first.kill()
    first.communicate()
    third = start(file)
    ended(second)
    ended(third)
    assert content(store, plan) == expected
    SeveralRuns.check(file, place, EPOCHS)


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_keeps_its_epoch_and_the_next_goes_on(small, expected):
    plan, store = make(load(small, EPOCHS)), Store(small.parent / "store")
    worker = start(small, "--grace", "60")
    until(lambda: any(checkpointed(store.work(job)) > 2 for job in plan.of("teacher")), worker)
    worker.send_signal(signal.SIGUSR1)
    said = ended(worker, 75)
    assert "Stopped by SIGUSR1. Kept of what was at work:" in said
    assert "It goes on from here with:  kd worker" in said
    [kept] = [job for job in plan.of("teacher") if store.progress(job)]
    assert f"{kept.title} after {store.progress(kept)['epoch']} epochs of 12" in said
    assert workers_of("small", store) == []
    ended(start(small))
    assert content(store, plan) == expected


def test_a_job_that_fails_is_tried_by_one_of_them(tiny, capsys):
    diverges = ("--set", "students.methods=[none, {kd: {alpha: 1e38}}]")
    shown = printed(capsys, "worker", str(tiny), *diverges, code=1)
    assert "diverged in epoch 1" in shown.out
    spec = load(tiny, diverges[1:])
    failed = [job for job in make(spec).of("student") if Store(spec.store).failure(job)]
    before = Store(spec.store).failure(failed[0])["time"]
    with Store(spec.store).lock("worker-tiny-0123456789ab"):  # another one is at work, and was when the job failed
        Store(spec.store).fail(failed[0], {"reason": "it failed over there"})
        shown = printed(capsys, "worker", str(tiny), *diverges, code=1)
    assert "it failed over there" in shown.out
    assert "Did 0 jobs" in shown.out
    assert printed(capsys, "worker", str(tiny), *diverges, code=1).out.count("diverged in epoch 1") == 1, (
        "alone, it tries again"
    )
    assert Store(spec.store).failure(failed[0])["time"] > before


def test_a_worker_leaves_what_others_do_once_it_has_idled(tiny, capsys):
    spec = load(tiny)
    store = Store(spec.store)
    store.prepare()
    [teacher] = make(spec).of("teacher")
    with store.lock_job(teacher):
        shown = printed(capsys, "worker", str(tiny), "--idle", "0.5", "--set", "students.methods=[kd]")
    assert "Did 0 jobs of 3" in shown.out
    assert "left." in shown.out
