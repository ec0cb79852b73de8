"""Ray asks the function that is replaced, and its init has the argument."""

from __future__ import annotations

import inspect

import pytest
import ray
from ray._private import services, worker

from orchestrator.executors.ray.private.loopback import ARGUMENT, LOOPBACK, RESOLVER, loopback


def test_the_address_is_kept_within_and_resolved_again_afterwards(monkeypatch):
    monkeypatch.setattr(services, "get_node_ip_address", lambda: "192.0.2.7")
    assert services.resolve_ip_for_localhost(LOOPBACK) == "192.0.2.7", "Ray would take a routable one"
    with loopback() as bound:
        assert bound == {ARGUMENT: LOOPBACK}
        assert services.resolve_ip_for_localhost(LOOPBACK) == LOOPBACK
    assert services.resolve_ip_for_localhost(LOOPBACK) == "192.0.2.7"


def test_ray_init_takes_the_argument_and_asks_that_function():
    source = inspect.getsource(worker.init)
    assert f'kwargs.pop("{ARGUMENT}"' in source
    assert f"services.{RESOLVER}({ARGUMENT})" in source
    with pytest.raises(RuntimeError, match="_no_such_argument"):  # what would be raised without it
        ray.init(_no_such_argument=1)


def test_a_ray_without_the_function_is_left_as_it_is(monkeypatch):
    monkeypatch.delattr(services, RESOLVER)
    with loopback() as bound:
        assert bound == {ARGUMENT: LOOPBACK}
    assert not hasattr(services, RESOLVER)
