"""Commands whose terminal is closed, or that are killed: nothing is left at work, and what is written is in order."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request

import mlflow
import pytest

from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.store import Store
from tests.support.paths import ROOT
from tests.support.world import the

KD = [sys.executable, "-c", "import sys; from orchestrator.cli.app import main; sys.exit(main())"]


def in_a_terminal(*arguments):
    """A command of a terminal of its own, as ssh gives one, and our end of that."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [*KD, *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(its)
    return process, ours


def family(pid):
    """The processes of a session."""
    listed = subprocess.run(["ps", "-s", str(pid), "-o", "pid="], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in listed.split()]


def wait_for(condition, seconds=120, terminal=None):
    until = time.monotonic() + seconds
    said = b""
    while not condition():
        assert time.monotonic() < until, said.decode(errors="replace")
        if terminal is not None and select.select([terminal], [], [], 0)[0]:
            with contextlib.suppress(OSError):
                said += os.read(terminal, 65536)
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_run_whose_terminal_is_closed_ends_in_order(tiny, executor):
    """As with Ctrl-C: the MLflow runs have ended, no lock and no process is left, and the same command goes on."""
    tiny.write_text(tiny.read_text().replace("tracking: {enabled: false}\n", "").replace("epochs: 1}", "epochs: 3000}", 1))
    spec = load(tiny)
    store, teacher = Store(spec.store), the(make(spec), "resnet8-s0")
    process, terminal = in_a_terminal("run", str(tiny), "--executor", executor)
    wait_for(lambda: store.progress(teacher).get("epoch", 0) > 3, terminal=terminal)
    os.close(terminal)
    assert process.wait(timeout=60) == 1
    wait_for(lambda: not family(process.pid), 20)
    assert not any(store.worker(job) for job in make(spec))
    assert store.progress(teacher)["epoch"] > 3
    runs = mlflow.MlflowClient(f"sqlite:///{store.root}/mlflow.db").search_runs(["1"])
    assert {run.info.status for run in runs} <= {"KILLED", "FAILED", "FINISHED", "SCHEDULED"}
    assert "KILLED" in {run.info.status for run in runs}


@pytest.mark.slow
def test_an_interface_that_is_killed_leaves_no_server(toy):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, terminal = in_a_terminal("ui", str(toy), "--port", str(port), "--set", "tracking.enabled=true")

    def answers():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).status == 200
        return False

    wait_for(answers, terminal=terminal)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not family(process.pid), 20, terminal)
    assert not answers()
    os.close(terminal)
