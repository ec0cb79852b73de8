"""What Tune's schedulers read of a trial and of the controller that runs it, where they are asked outside of any Tuner.

Tested with Ray 2.60.0: AsyncHyperBandScheduler and MedianStoppingRule read no more than this. Where those of a later Ray read
more, AttributeError names it, and the search stops there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SchedulerTrial:
    """A trial: its name, and equality and a hash by it."""

    trial_id: str


class SchedulerController:
    """What runs the trials: nothing waits or is paused, so no trial is paused for another."""

    def get_live_trials(self) -> list[Any]:
        return []
