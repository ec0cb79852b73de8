"""A lock is held by one process, and by none once that is gone."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

HOLD = """
import sys
from orchestrator.store.store import Store
with Store(sys.argv[1]).lock("run-x") as held:
    print(held, flush=True)
    sys.stdin.read()
"""


def hold(store):
    """A process that holds a lock until it is killed or its input ends, and whether it got it."""
    command = [sys.executable, "-c", HOLD, store.location]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return holder, holder.stdout.readline() == "True\n"


def test_a_lock_is_exclusive_and_dies_with_its_process(store):
    began = time.time()
    holder, held = hold(store)
    assert held
    with store.lock("run-x") as held:
        assert not held
    assert store.holder("run-x") is not None
    assert store.holder("run-y") is None
    who = store.holder("run-x")
    assert (who.pid, who.host) == (holder.pid, socket.gethostname())
    assert began <= who.since <= time.time()
    holder.kill()
    holder.communicate()
    assert store.holder("run-x") is None
    with store.lock("run-x") as held:
        assert held
        with store.lock("run-x") as again:
            assert not again
    assert store.holder("run-x") is None


def test_a_lock_ends_with_its_block(store):
    holder, held = hold(store)
    assert held
    holder.communicate("", timeout=30)
    assert holder.returncode == 0
    assert store.holder("run-x") is None
