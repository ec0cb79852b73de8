"""Which trials are ended early: Ray Tune's schedulers, one for each search, asked outside of any Tuner.

They decide by the numbers alone, so the inline executor asks the same ones, and a search that goes on after a kill tells them
first what its ended trials reported.
"""

from __future__ import annotations

from typing import Any

from orchestrator.executors.early_stopping import EarlyStopping, NeverStop
from orchestrator.executors.ray.private.schedulers import SchedulerController, SchedulerTrial
from orchestrator.experiment.search_config import ASHA, MEDIAN, SearchConfig

EPOCH, ACCURACY = "epoch", "accuracy"


class StopByTune:
    """Asks one of Tune's schedulers. The last epoch may not be stopped: a trial that came so far is whole."""

    def __init__(self, scheduler: Any, epochs: int) -> None:
        self._scheduler = scheduler
        self._epochs = epochs
        self._controller = SchedulerController()
        self._known: dict[int, SchedulerTrial] = {}

    def stops(self, number: int, epoch: int, accuracy: float) -> bool:
        from ray.tune.schedulers import TrialScheduler

        if number not in self._known:
            self._known[number] = SchedulerTrial(str(number))
            self._scheduler.on_trial_add(self._controller, self._known[number])
        result = {EPOCH: epoch, ACCURACY: accuracy}
        decision = self._scheduler.on_trial_result(self._controller, self._known[number], result)
        return epoch < self._epochs and decision == TrialScheduler.STOP


def early_stopping_of(how: SearchConfig, epochs: int) -> EarlyStopping:
    """The early stopping of a search whose trials have so many epochs."""
    if how.scheduler not in (ASHA, MEDIAN):
        return NeverStop()
    from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule

    grace = min(how.grace_of(epochs), epochs)
    common: dict[str, Any] = {"time_attr": EPOCH, "metric": ACCURACY, "mode": "max", "grace_period": grace}
    if how.scheduler == MEDIAN:
        return StopByTune(MedianStoppingRule(**common), epochs)
    return StopByTune(AsyncHyperBandScheduler(**common, max_t=epochs + 1, reduction_factor=how.reduction), epochs)
