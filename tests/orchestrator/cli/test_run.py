"""`kd run`: its live view on snapshots made by hand, and real runs of the smallest experiment."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from orchestrator.cli.app import main
from orchestrator.cli.views import run as run_view
from orchestrator.cli.views.run import RunView
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from orchestrator.store.store import Store
from tests.support.paths import ROOT
from tests.support.world import a_plan, a_spec, finish_job, the

HEAVY = ("torch", "ray", "mlflow", "matplotlib")


@pytest.fixture
def file(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    return str(tiny)


def a_snapshot(plan, **states):
    """Waiting, but for the titles in ``states``: an epoch means running."""
    found, progress = {}, {}
    for job in plan:
        state = states.get(job.title, State.WAITING)
        found[job.key] = state if isinstance(state, State) else State.RUNNING
        if not isinstance(state, State):
            progress[job.key] = {
                "epoch": state,
                "epochs": job.epochs,
                "seconds": 2.0,
                "updated": time.time() + 1,
                "accuracy": 0.875,
            }
    return Snapshot(plan, found, progress)


def a_view(tmp_path, width=100, height=25, terminal=True):
    out = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=width, height=height, highlight=False)
    return RunView(a_spec(tmp_path / "store"), out)


def drawn(view):
    view.out.file.truncate(0)
    view.out.file.seek(0)
    view.out.print(view.render())
    return view.out.file.getvalue()


def test_the_picture_tells_jobs_epochs_accuracy_and_time_left(tmp_path):
    plan = a_plan()
    view = a_view(tmp_path)
    assert "starting" in drawn(view)
    view(a_snapshot(plan, **{"resnet20-s0": State.DONE, "resnet8-s0": State.FAILED, "resnet8-none · s0": 4}))
    shown = drawn(view)
    assert "1 done, 1 running, 5 waiting, 1 failed" in shown
    assert [line.split() for line in shown.splitlines() if "resnet8-none · s0" in line] == [
        ["resnet8-none", "·", "s0", "4/10", "87.5", "%", "0:12"]  # 6 epochs of 2 s are left
    ]
    assert "at least 0:12 left" in shown


def test_time_left_learns_from_what_ends_during_the_run(tmp_path):
    plan, view = a_plan(methods=("none",)), a_view(tmp_path)
    first = {"resnet20-s0": State.DONE, "resnet8-s0": State.DONE}
    probes = {f"probes of {name}": State.DONE for name in first}
    view(a_snapshot(plan, **first, **probes))
    assert "left" not in drawn(view)
    finish_job(view.store, the(plan, "resnet8-none · s0"), seconds=90)
    view._estimated = 0  # as if some seconds had gone by
    view(a_snapshot(plan, **first, **probes, **{"resnet8-none · s0": State.DONE}))
    assert "about 1:30 left" in drawn(view)


def test_the_picture_fits_a_small_terminal(tmp_path):
    plan = a_plan(seeds=tuple(range(20)))
    view = a_view(tmp_path, width=40, height=12)
    view(a_snapshot(plan, **{f"resnet8-none · s{seed}": 3 for seed in range(20)}))
    lines = drawn(view).splitlines()
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 40
    assert lines[-1] == "and 13 more"


def test_half_of_a_jobs_epochs_is_half_a_job(tmp_path):
    plan = a_plan(methods=("none",), seeds=(0,))  # 2 teachers, 2 probes, 1 student
    snapshot = a_snapshot(plan, **{"resnet20-s0": State.DONE, "resnet8-s0": 5})
    assert run_view.fraction_done(snapshot) == pytest.approx(1.5 / 5)


def test_plain_lines_come_at_changes_and_not_too_often(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(run_view.time, "monotonic", lambda: now[0])
    plan, view = a_plan(), a_view(tmp_path, terminal=False)

    def after(seconds, **states):
        now[0] += seconds
        before = len(view.out.file.getvalue())
        view(a_snapshot(plan, **states))
        return view.out.file.getvalue()[before:]

    assert after(1) == "[0:01] 8 waiting\n"
    assert after(1, **{"resnet8-s0": 1}) == "", "too soon"
    assert after(2, **{"resnet8-s0": 2}) == "[0:04] 1 running, 7 waiting; at least 0:16 left; resnet8-s0 2/10 87.5 %\n"
    assert after(20, **{"resnet8-s0": 8}) == "", "the same jobs run"
    assert after(20, **{"resnet8-s0": 9}).startswith("[0:44] 1 running")


def test_a_run_a_second_run_and_one_that_goes_on(file, capsys):
    assert main(["run", file, "--executor", "inline"]) == 0
    output = capsys.readouterr()
    for text in ("kd", "resnet8-s0", "Did 4 jobs of 4 in", f"kd report {file}"):
        assert text in output.out
    assert "waiting" in output.err
    assert main(["run", file, "--executor", "inline"]) == 0
    assert "Nothing to do: all of tiny was done before." in capsys.readouterr().out


def test_nothing_to_do_needs_neither_torch_nor_ray(file):
    spec = load(file)
    for job in make(spec):
        finish_job(Store(spec.store), job)
    script = (
        "import sys; from orchestrator.cli.app import main; code = main(sys.argv[1:]);"
        f"print(code, [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, "run", file], capture_output=True, text=True, env=environment())
    assert "Nothing to do" in done.stdout
    assert done.stderr == "0 []\n"


def test_a_failed_job_is_named_with_its_reason_and_ends_with_1(file, capsys):
    arguments = [file, "--set", "teachers.recipe.lr=1e30", "--set", "teachers.recipe.schedule=constant"]
    assert main(["run", *arguments, "--executor", "inline"]) == 1
    output = capsys.readouterr().out
    assert "failed: resnet8-s0: the loss diverged in epoch 1: " in output
    assert "not run, because what they need failed: 2 jobs (probes of resnet8-s0, resnet8 · kd · s0)" in output
    assert "Did 1 job of 4 in" in output
    assert main(["plan", *arguments]) == 0
    assert "failed last time: the loss diverged in epoch 1: " in capsys.readouterr().out


def test_two_runs_at_once_are_refused(file, capsys):
    with Store(load(file).store).lock("run-tiny"):
        assert main(["run", file, "--executor", "inline"]) == 2
    assert "another `kd run` of tiny is at work" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(file):
    command = [sys.executable, "-c", "import sys; from orchestrator.cli.app import main; sys.exit(main())", "run", file]
    long = ["--executor", "inline", "--set", "teachers.recipe.epochs=100000"]
    run = subprocess.Popen([*command, *long], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    spec = load(file, ["teachers.recipe.epochs=100000"])
    teacher = the(make(spec), "resnet8-s0")
    until = time.monotonic() + 60
    while not Store(spec.store).progress(teacher).get("epoch") and time.monotonic() < until:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, output = run.communicate(timeout=60)
    assert run.returncode == 1
    assert f"Stopped. It goes on from here with:  kd run {file} --set teachers.recipe.epochs=100000" in output
    assert "Traceback" not in output


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
