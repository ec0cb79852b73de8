"""`kd status`."""

from __future__ import annotations

from tests.support.command_line import opened, printed
from tests.support.world import begin, finish_job, the


def test_status(toy, capsys):
    plan, store = opened(toy)
    finish_job(store, the(plan, "resnet8-s0"))
    begin(store, the(plan, "resnet14-s0"), 4, seconds=2, ago=-5)
    store.fail(the(plan, "resnet8 · none · s1"), {"reason": "the loss diverged in epoch 2: ce = nan"})
    shown = printed(capsys, "status", toy).out
    assert "no run is at work" in shown
    assert "resnet8 · none · s1: failed, failed last time: the loss diverged in epoch 2: ce = nan" in shown
    with store.lock("run-toy"), store.lock_job(the(plan, "resnet14-s0")):
        begin(store, the(plan, "resnet14-s0"), 4, seconds=2, ago=-5)
        shown = printed(capsys, "status", toy).out
    assert "toy: a run is at work on it" in shown
    assert [line.split()[:5] for line in shown.splitlines() if line.startswith("resnet14-s0")] == [
        ["resnet14-s0", "4/10", "1", "80.0", "%"]
    ]
    assert [line.split() for line in shown.splitlines() if line.startswith("teacher")] == [["teacher", "1", "1"]]


def test_watching_shows_what_changes_until_all_is_done(toy, capsys, monkeypatch):
    plan, store = opened(toy)
    left = list(plan)
    steps = []

    def goes_on(seconds):
        steps.append(seconds)
        if len(steps) != 2:  # at the second look nothing is new
            finish_job(store, left.pop(0))

    monkeypatch.setattr("orchestrator.cli.views.console.time.sleep", goes_on)
    shown = printed(capsys, "status", toy, "--watch", "--every", "0.5").out
    assert not left
    assert len(steps) == len(plan) + 1
    assert min(steps) >= 0.5
    assert shown.count("toy: no run is at work on it") == len(plan) + 1
    assert [line.split() for line in shown.splitlines() if line.startswith("teacher")][-1] == ["teacher", "2"]


def test_ctrl_c_ends_the_watching_in_order(toy, capsys, monkeypatch):
    def stop(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.cli.views.console.time.sleep", stop)
    assert "no run is at work" in printed(capsys, "status", toy, "--watch").out
