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
    assert [line.split()[:4] for line in shown.splitlines() if line.startswith("resnet14-s0")] == [
        ["resnet14-s0", "4/10", "80.0", "%"]
    ]
    assert [line.split() for line in shown.splitlines() if line.startswith("teacher")] == [["teacher", "1", "1"]]
