"""Word that a run is to end soon: before a time limit, a preemption, the end of a pod.

Then no more work is handed out, and what is at work may come to the end of its epoch, where a checkpoint is written anyway, if
it gets there in time. All that is decided here is what is worth waiting for; who gives notice is the command's affair.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

AGAIN_S = 1.0  # what comes sooner is the same word, by another way: a batch system may tell every process, and its parent too


class OutOfTime(KeyboardInterrupt):
    """The time that notice left is over, or nothing that is at work gets to the end of its epoch before it is."""


class Notice:
    """Not given at first."""

    def __init__(self) -> None:
        self.reason = ""  # in words, once it was given
        self._until = float("inf")  # monotonic clock
        self._epoch_ends = float("-inf")  # of the job that this very process does
        self._given_at = float("inf")
        self._settled = False

    @property
    def given(self) -> bool:
        return bool(self.reason)

    def give(self, reason: str, seconds: float) -> None:
        """The run is to end after so many seconds at most. May be called from a signal's handler.

        Raises:
            OutOfTime: where this process is in an epoch that ends later, or where notice had been given some time before.
        """
        now = time.monotonic()
        again = self.given and now - self._given_at > AGAIN_S
        self.reason, self._given_at = self.reason or reason, min(self._given_at, now)
        self._until = min(self._until, now + seconds)
        if again or self._epoch_ends > self._until:
            self.run_out()

    def run_out(self) -> None:
        """The time is over. May be called from a signal's handler.

        Raises:
            OutOfTime: unless the run is ending already, in which it is not to be disturbed.
        """
        if not self._settled:
            raise OutOfTime

    def settle(self) -> None:
        """Nothing is waited for any more: the run lets go of what it holds."""
        self._settled = True

    @property
    def left_s(self) -> float:
        """Seconds that are left; infinite where notice was not given."""
        return self._until - time.monotonic()

    def expect(self, seconds: float | None) -> None:
        """The job that this process does gets to the end of its epoch after so many seconds; None: that cannot be told."""
        self._epoch_ends = float("-inf") if seconds is None else time.monotonic() + seconds

    def worth_waiting(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether to wait for a job that said ``before`` when notice was given, and says ``now``: not where it has come to an
        end of an epoch or of itself since, where it had not begun, or where its epoch will take longer than there is time."""
        if not now or not before or now.get("epoch") != before.get("epoch"):
            return False
        epoch_s = now.get("seconds")  # that the last one took
        return self.left_s > 0 and (epoch_s is None or now["updated"] + epoch_s < time.time() + self.left_s)
