"""A lock is held by one process, and by none once that is gone."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

HOLD = """
import contextlib, sys
from orchestrator.store.store import Store
with contextlib.ExitStack() as stack:
    print(all(stack.enter_context(Store(sys.argv[1]).lock(name)) for name in sys.argv[2:]), flush=True)
    sys.stdin.read()
"""


def hold(store, *names):
    """A process that holds locks until it is killed or its input ends, and whether it got them."""
    command = [sys.executable, "-c", HOLD, store.location, *(names or ["run-x"])]
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


def test_locks_of_killed_processes_are_forgotten_whatever_they_locked(store):
    names = ["identity", "run-other", "worker-toy-0123456789ab", "job-teacher-0123", "data-toy"]
    holder, held = hold(store, *names)
    assert held
    with store.lock("run-x"):
        store.forget_dead_locks()
        assert sorted(store.locks()) == sorted([*names, "run-x"]), "all are held"
        holder.kill()
        holder.communicate()
        store.forget_dead_locks()
        assert store.locks() == ["run-x"]
