"""The lock of an object store: renewed while it is held, free when its holder is gone or has not renewed it."""

from __future__ import annotations

import json
import os
import time

import pytest

from orchestrator.store.backends import lease as leases
from orchestrator.store.store import Store

NAME = "locks/run-x.json"


@pytest.fixture
def store(s3, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_S", 0.1)
    return Store(s3.uri())


def written(store, **changes):
    """A lease of another machine's process, which has a minute to go."""
    said = {"id": "theirs", "host": "far", "pid": 12, "machine": "other", "born": "3", "since": 5.0}
    store.backend.write(NAME, json.dumps({**said, "expires": time.time() + 60, **changes}).encode())


def test_it_is_renewed_while_it_is_held(store):
    with store.lock("run-x") as held:
        assert held
        first = store.read_json(NAME)
        until = time.monotonic() + 60
        while (now := store.read_json(NAME))["expires"] == first["expires"]:
            assert time.monotonic() < until, "it is not renewed"
            time.sleep(0.02)
        assert now == {**first, "expires": now["expires"]}
        assert first["expires"] < now["expires"] <= time.time() + leases.LEASE_S
        with store.lock("run-x") as again:
            assert not again
    assert store.backend.sizes("locks") == {}


def test_one_of_another_machine_holds_until_it_has_run_out(store):
    written(store)
    assert str(store.holder("run-x")) == "process 12 on far"
    with store.lock("run-x") as held:
        assert not held
    written(store, expires=time.time())
    assert store.holder("run-x") is None
    with store.lock("run-x") as held:
        assert held


def test_one_of_this_machine_ends_with_its_process(store):
    own = leases._process()
    written(store, machine=own["machine"], pid=os.getpid(), born=own["born"])
    assert store.holder("run-x") is not None
    written(store, machine=own["machine"], pid=os.getpid(), born="another process had this number")
    assert store.holder("run-x") is None


def test_who_writes_first_of_two_at_once_gives_way(store, monkeypatch):
    monkeypatch.setattr(leases.time, "sleep", lambda seconds: written(store))  # while one waits, the other writes
    with store.lock("run-x") as held:
        assert not held
    assert store.holder("run-x").host == "far"


def test_a_holder_whose_lease_was_taken_leaves_it_alone(store):
    with store.lock("run-x") as held:
        assert held
        written(store)
        time.sleep(0.5)
        assert store.holder("run-x").host == "far"
    assert store.holder("run-x").host == "far"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"expires": '])
def test_what_is_no_lease_holds_nothing(store, content):
    store.backend.write(NAME, content)
    with store.lock("run-x") as held:
        assert held
