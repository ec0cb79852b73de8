"""The worker that Tune keeps between two trials though it has no trial for it: `TuneController._actor_cache`.

Where another trial is still at work, it keeps that worker, and the cores and GPU that it holds, until the next trial comes. The
job that the next trials wait for may be waiting for just these. Tested with Ray 2.60.0. Where a later Ray has no such cache,
nothing is done: the job waits until the trials at work have ended.
"""

from __future__ import annotations

from typing import Any


def keep_idle_worker(controller: object, keep: bool) -> None:
    """Have Tune keep one worker without a trial, as it does by itself, or let go of it at the end of this step.

    Args:
        controller: what Tune hands to its schedulers.
    """
    # without the wrapper, which warns of every attribute that is none of the schedulers' business
    cache: Any = getattr(vars(controller).get("_tune_controller"), "_actor_cache", None)
    if hasattr(cache, "_may_keep_one"):
        cache._may_keep_one = keep
