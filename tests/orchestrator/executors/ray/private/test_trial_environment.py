"""Tune gives AWS keys to its workers, in their arguments, until it is told not to."""

from __future__ import annotations

import importlib

import pytest
from ray.tune.execution import class_cache

from orchestrator.executors.ray.private.trial_environment import SET, withhold_credentials

KEY, OTHER = "AWS_SECRET_ACCESS_KEY", "RAY_CHDIR_TO_TRIAL_DIR"


@pytest.fixture
def cache(monkeypatch):
    """Tune's module as it is imported; left without the keys."""
    monkeypatch.setenv(KEY, "secret")
    monkeypatch.setenv(OTHER, "0")
    yield importlib.reload(class_cache)
    importlib.reload(class_cache)
    withhold_credentials()


def given(cache):
    """The variables that a worker of a trainable gets from the driver."""

    class Trainable:
        pass

    return cache._ActorClassCache().get(Trainable)._default_options["runtime_env"]["env_vars"]


def test_the_keys_are_withheld_and_nothing_else_is(cache):
    assert given(cache).items() >= {KEY: "secret", OTHER: "0"}.items(), "Ray has changed: is this still needed?"
    withhold_credentials()
    assert KEY not in given(cache)
    assert given(cache)[OTHER] == "0"


def test_a_ray_without_the_set_is_refused(cache, monkeypatch):
    monkeypatch.delattr(cache, SET)
    with pytest.raises(RuntimeError, match="may show AWS keys"):
        withhold_credentials()
