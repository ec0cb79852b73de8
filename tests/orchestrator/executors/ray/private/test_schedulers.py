"""Tune's schedulers decide by no more than our stand-ins have, on every path that we use."""

from __future__ import annotations

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, TrialScheduler

from orchestrator.executors.ray.private.schedulers import SchedulerController, SchedulerTrial

COMMON = {"time_attr": "epoch", "metric": "accuracy", "mode": "max", "grace_period": 1}


def decisions(scheduler, *accuracies):
    """Of trials that each report one accuracy, at epoch 1."""
    controller = SchedulerController()
    found = []
    for number, accuracy in enumerate(accuracies):
        trial = SchedulerTrial(str(number))
        scheduler.on_trial_add(controller, trial)
        found.append(scheduler.on_trial_result(controller, trial, {"epoch": 1, "accuracy": accuracy}))
    return found


@pytest.mark.parametrize(
    ("scheduler", "last"),
    [
        (AsyncHyperBandScheduler(**COMMON, max_t=9, reduction_factor=3), 0.1),  # below the 2/3 quantile of (0.5, 0.6, 0.7)
        (MedianStoppingRule(**COMMON), 0.1),  # below the median of the same; three samples are needed
    ],
    ids=["asha", "median"],
)
def test_a_trial_that_is_worse_than_the_others_ends(scheduler, last):
    go_on = [TrialScheduler.CONTINUE] * 3
    assert decisions(scheduler, 0.5, 0.6, 0.7, last) == [*go_on, TrialScheduler.STOP]
