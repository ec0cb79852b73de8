"""What a job's log holds, of a stage that is pretended."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS, Kind
from orchestrator.stages.record import recorded, said
from orchestrator.stages.runner import JobFailed, Runtime, Stopped, run_job
from orchestrator.store.store import Store
from tests.support.paths import ROOT


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """Runs a stage; the texts of the job's logs."""

    def go(stage, listen=lambda progress: None):
        monkeypatch.setitem(sys.modules, "a_stage", SimpleNamespace(run=stage))
        monkeypatch.setitem(KINDS, "example", Kind(1, "a_stage", "Examples"))
        job, store = Job("example", 1, {"of": "nothing"}, {}, "this one"), Store(tmp_path)
        with contextlib.suppress(JobFailed, Stopped):
            run_job(job, Runtime(str(tmp_path)), listen)
        return [[line[9:] for line in log.text.splitlines()] for log in store.logs(job)]

    return go


def test_it_holds_what_is_printed_warned_of_and_logged_and_what_came_out(logged, capsys):
    def stage(job, context):
        print("half a line", end="")
        print(", and the rest")
        print("50 %\r100 %")
        print("an error", file=sys.stderr)
        logging.getLogger("lib").warning("a library %s", "says")
        logging.getLogger("lib").info("too much")
        threading.Thread(target=print, args=["another thread"]).start()
        context.say(epoch=1, epochs=2, seconds=0.5, loss=0.123456, accuracy=0.9)
        print("no end", end="")
        return {"ece": 0.12345678, "list": [1]}

    [lines] = logged(stage)
    assert lines[0].startswith("example this one (")
    assert "python 3." in lines[2]
    assert [line for line in lines if "torch" not in line][2:5] == ["half a line, and the rest", "100 %", "an error"]
    assert "WARNING lib: a library says" in lines
    assert "epoch 1 of 2, loss 0.1235, accuracy 0.9, 0.50 s" in lines
    assert not [line for line in lines if "too much" in line or "another thread" in line]
    assert lines[-3:-1] == ["ece 0.1235", "no end"]
    assert lines[-1].startswith("done after ")
    assert "half a line, and the rest" in capsys.readouterr().out, "and where it went before"


def test_it_holds_warnings(tmp_path):
    """In a process of its own: in this one pytest keeps them."""
    script = f"""
import warnings
from orchestrator.jobs.job import Job
from orchestrator.stages.record import recorded
from orchestrator.store.store import Store
store, job = Store({str(tmp_path)!r}), Job("example", 1, {{}}, {{}}, "this one")
attempt = store.begin(job)
with recorded(store.log(attempt), job, {{}}):
    warnings.warn("have a care")
print(store.logs(job)[0].text)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert "UserWarning: have a care" in done.stdout
    assert "UserWarning: have a care" in done.stderr, "and where it went before"


def test_of_a_failed_attempt_it_holds_the_trace_and_the_next_has_one_of_its_own(logged):
    def stage(job, context):
        print("so far, so good")
        raise ValueError("no luck")

    assert len(logged(stage)) == 1
    first, second = logged(stage)
    for lines in (first, second):
        assert "so far, so good" in lines
        assert lines[-1] == "ValueError: no luck"
        assert "Traceback (most recent call last):" in lines
        assert [line for line in lines if line.startswith("failed after ")]


def test_it_says_when_a_job_was_stopped_from_outside(logged):
    def stage(job, context):
        raise Stopped

    [lines] = logged(stage)
    assert lines[-1].startswith("stopped from outside after ")
    assert lines[-1].endswith("(Stopped)")


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        ({"attempt": "a", "epochs": 10}, ""),
        ({"epochs": 10, "doing": "importing torch"}, "importing torch"),
        ({"epoch": 3, "epochs": 10, "seconds": 1.0, "loss": 0.5}, "epoch 3 of 10, loss 0.5, 1.00 s"),
        ({"trials": 4, "ended": 1}, ""),
    ],
)
def test_progress_is_a_line(progress, line):
    assert said(progress) == line


@pytest.mark.parametrize("first_out", [0, 1])
def test_two_threads_are_recorded_apart_and_may_end_in_any_order(tmp_path, first_out):
    before, store = (sys.stdout, sys.stderr), Store(tmp_path)
    jobs = [Job("example", 1, {"of": str(number)}, {}, f"number {number}") for number in range(2)]
    logs = [store.log(store.begin(job)) for job in jobs]
    both_in, out = threading.Barrier(2), [threading.Event(), threading.Event()]

    def work(number):
        with recorded(logs[number], jobs[number], {}):
            both_in.wait(10)
            print(f"this is {number}")
            if number != first_out:
                out[first_out].wait(10)
        out[number].set()

    threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sys.stdout, sys.stderr) == before
    for number, log in enumerate(logs):
        assert f"this is {number}\n" in log.text
        assert f"this is {1 - number}\n" not in log.text
