"""The live view of a run and its plain lines, on snapshots made by hand."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from orchestrator.cli import watching
from orchestrator.cli.views import run_lines
from orchestrator.cli.views.progress import fraction_done, in_use, why_no_more
from orchestrator.cli.views.run import Picture
from orchestrator.cli.views.run_lines import Lines
from orchestrator.cli.watching import Watched
from orchestrator.experiment.spec import Allocation, Resources, TeacherAllocation
from orchestrator.planning.schedule import Machine
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from tests.support.world import a_plan, a_spec, finish_job, the


def a_snapshot(plan, *, failed=(), notes=(), ready=0, machine=None, **states):
    """Waiting, but for the titles in ``states``: an epoch means running."""
    found, progress = {}, {}
    for job in plan:
        state = states.get(job.title, State.WAITING)
        found[job.key] = state if isinstance(state, State) else State.RUNNING
        if not isinstance(state, State):
            said = {"seconds": 2.0, "accuracy": 0.875, "loss": 0.51234} if state else {"doing": "importing torch"}
            progress[job.key] = {"epoch": state, "epochs": job.epochs, "updated": time.time() + 1, **said}
    return Snapshot(plan, found, progress, tuple(notes), dict(failed), ready, machine)


def a_screen(width=100, height=25, terminal=True):
    return Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=width, height=height, highlight=False)


def a_picture(tmp_path, **size):
    screen = Picture(a_screen(**size))
    return Watched(a_spec(tmp_path / "store"), screen)


def drawn(watched):
    out = watched.screen.out
    out.file.truncate(0)
    out.file.seek(0)
    out.print(watched.screen.render())
    return out.file.getvalue()


def test_the_picture_tells_jobs_epochs_loss_accuracy_and_time_left(tmp_path):
    plan, watched = a_plan(), a_picture(tmp_path)
    watched.waits("starting Ray")
    assert "starting Ray … 0:00" in drawn(watched)
    watched.waits("")
    failed = the(plan, "resnet8-s0")
    known = {"resnet20-s0": State.DONE, "resnet8-none · s1": 0, "resnet8-none · s0": 4}
    watched.snapped(a_snapshot(plan, **known))
    watched.snapped(a_snapshot(plan, failed={failed.key: "no luck"}, **known, **{"resnet8-s0": State.FAILED}))
    shown = drawn(watched)
    assert "starting" not in shown
    assert "1 done, 2 running, 4 waiting, 1 failed" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith("resnet8-none")] == [
        ["resnet8-none", "·", "s0", "4/10", "0.5123", "87.5", "%", "0:12"],  # 6 epochs of 2 s are left
        ["resnet8-none", "·", "s1", "importing", "torch"],
    ]
    assert "0:00  failed: resnet8-s0: no luck" in shown
    assert "s left" in shown.splitlines()[0]


def test_it_says_at_once_that_it_stops(tmp_path):
    plan, watched = a_plan(), a_picture(tmp_path)
    watched.snapped(a_snapshot(plan, **{"resnet8-s0": 4}))
    watched.stops("Ctrl-C")
    assert "Stopping (Ctrl-C): workers are ended; what is half done goes on" in drawn(watched)


def test_the_picture_fits_a_small_terminal(tmp_path):
    plan = a_plan(seeds=tuple(range(20)))
    for height in (12, 24):
        watched = a_picture(tmp_path, width=40, height=height)
        notes = [f"a note that is much longer than the window is wide, number {number}" for number in range(9)]
        running = {f"resnet8-none · s{seed}": 3 for seed in range(20)}
        watched.snapped(a_snapshot(plan, machine=Machine(20), notes=notes, **running))
        lines = drawn(watched).splitlines()
        assert len(lines) <= height
        assert max(map(len, lines)) <= 40
        assert [line for line in lines if line.startswith("and ")]


def test_half_of_a_jobs_epochs_is_half_a_job(tmp_path):
    plan = a_plan(methods=("none",), seeds=(0,))  # 2 teachers, 2 probes, 1 student
    snapshot = a_snapshot(plan, **{"resnet20-s0": State.DONE, "resnet8-s0": 5})
    assert fraction_done(snapshot) == pytest.approx(1.5 / 5)


@pytest.mark.parametrize(
    ("ready", "cpus", "gpus", "words"),
    [
        (0, 4, 0, "2 of 4 CPU cores in use; 6 jobs wait for what they need"),
        (1, 4, 0, "2 of 4 CPU cores in use; 1 job waits for a worker to take them; 5 jobs wait for what they need"),
        (6, 2, 0, "2 of 2 CPU cores in use; 6 jobs wait for free ones"),
        (0, 4, 2, "2 of 4 CPU cores, 1.25 of 2 GPU in use; 6 jobs wait for what they need"),
    ],
)
def test_what_is_in_use_and_why_nothing_more_runs(ready, cpus, gpus, words):
    snapshot = a_snapshot(a_plan(), ready=ready, machine=Machine(cpus, gpus), **{"resnet20-s0": 1, "resnet8-none · s0": 1})
    resources = Resources(TeacherAllocation(1, 1), Allocation(1, 0.25)) if gpus else Resources()
    assert in_use(snapshot, resources).cpus == 2
    assert why_no_more(snapshot, resources) == words


def test_where_the_machine_is_not_known_nothing_is_said_of_it():
    assert why_no_more(a_snapshot(a_plan(), ready=8), Resources()) == "8 jobs wait for a worker to take them"


def test_time_left_learns_from_what_ends_during_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "ESTIMATE_S", 0)
    monkeypatch.setattr(watching, "ESTIMATING", 0)
    plan, watched = a_plan(methods=("none",)), a_picture(tmp_path)
    first = {"resnet20-s0": State.DONE, "resnet8-s0": State.DONE}
    probes = {f"probes of {name}": State.DONE for name in first}
    watched.snapped(a_snapshot(plan, **first, **probes))
    assert watched.left is None
    finish_job(watched.store, the(plan, "resnet8-none · s0"), seconds=90)
    watched.snapped(a_snapshot(plan, machine=Machine(1), **first, **probes, **{"resnet8-none · s0": State.DONE}))
    left = watched.left
    assert (left.low, left.high, left.unknown) == (pytest.approx(90 / 1.15, abs=1), pytest.approx(90 * 1.15, abs=1), 0)
    assert f"{left} left" in drawn(watched)


def test_plain_lines_come_at_changes_and_not_too_often(tmp_path, monkeypatch):
    now = [0.0]
    for module in (watching, run_lines):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    plan, watched = a_plan(), Watched(a_spec(tmp_path / "store"), Lines(a_screen(terminal=False)))
    waiting = Machine(1)

    def after(seconds, act=None, **states):
        now[0] += seconds
        before = len(watched.screen.out.file.getvalue())
        (act or (lambda: watched.snapped(a_snapshot(plan, machine=waiting, **states))))()
        return watched.screen.out.file.getvalue()[before:]

    assert after(1, lambda: watched.waits("verifying (0 of 9)")) == "[0:01] verifying (0 of 9) …\n"
    assert after(1, lambda: watched.waits("verifying (1 of 9)")) == "", "it goes on"
    assert after(1, lambda: watched.waits("starting Ray")) == "[0:03] starting Ray …\n"
    watched.waits("")
    assert after(1) == "[0:04] 8 waiting\n"
    assert after(1, **{"resnet8-s0": 1}) == "", "too soon"
    shown = after(2, **{"resnet8-s0": 2})
    assert shown.startswith("[0:07] 1 running, 7 waiting; ")
    assert shown.endswith(" left; resnet8-s0 2/10 87.5 %\n")
    assert after(20, **{"resnet8-s0": 8}) == "", "the same jobs run"
    assert after(20, **{"resnet8-s0": 9}).startswith("[0:47] 1 running")
    failed = {the(plan, "resnet8-s0").key: "no luck"}
    assert after(1, failed=failed, notes=["a note"], **{"resnet8-s0": State.FAILED}) == (
        "[0:48] a note\n[0:48] failed: resnet8-s0: no luck\n"
    )
    assert after(0, lambda: watched.stops("SIGTERM")).startswith("[0:48] Stopping (SIGTERM): ")
