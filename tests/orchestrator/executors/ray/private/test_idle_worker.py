"""Tune keeps one worker that has nothing to do, until it is told not to."""

from __future__ import annotations

import pytest
from ray.tune.execution.tune_controller import TrialRunnerWrapper, TuneController
from ray.tune.utils.object_cache import _ObjectCache

from orchestrator.executors.ray.private.idle_worker import keep_idle_worker


class Controller(TuneController):
    """No more of it than its cache."""

    def __init__(self) -> None:
        self._actor_cache = _ObjectCache(may_keep_one=True)


@pytest.fixture
def controller():
    return Controller()


def wrapped(controller):
    return TrialRunnerWrapper(controller, trial_executor=None)


def test_one_worker_is_kept_until_it_is_let_go(controller):
    cache = controller._actor_cache
    assert cache.cache_object("share", "worker")
    assert list(cache.flush_cached_objects()) == [], "Ray has changed: is this still needed?"
    keep_idle_worker(wrapped(controller), keep=False)
    assert list(cache.flush_cached_objects()) == ["worker"]
    assert not cache.cache_object("share", "worker")
    keep_idle_worker(wrapped(controller), keep=True)
    assert cache.cache_object("share", "worker")


def test_one_that_a_trial_waits_for_is_kept_all_the_same(controller):
    keep_idle_worker(wrapped(controller), keep=False)
    controller._actor_cache.increase_max("share")
    assert controller._actor_cache.cache_object("share", "worker")
    assert list(controller._actor_cache.flush_cached_objects()) == []


def test_the_controller_has_that_cache():
    import inspect

    assert "self._actor_cache = _ObjectCache(may_keep_one=True)" in inspect.getsource(TuneController.__init__)
    assert "choose_trial_to_run(self._wrapped())" in inspect.getsource(TuneController)


def test_a_ray_without_such_a_cache_goes_on_as_it_is(controller):
    del controller._actor_cache
    keep_idle_worker(wrapped(controller), keep=False)
    keep_idle_worker(object.__new__(TrialRunnerWrapper), keep=False)
