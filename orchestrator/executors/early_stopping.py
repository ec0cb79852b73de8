"""Which trials are ended early. What decides is handed to the dispatcher, so that it needs no library of searches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestrator.experiment.search_config import SearchConfig


class EarlyStopping(Protocol):
    """Decides on the trials of one search."""

    def stops(self, number: int, epoch: int, accuracy: float) -> bool:
        """Whether the trial ends here, after an epoch (from 1) with that validation accuracy."""


class NeverStop:
    """Ends none."""

    def stops(self, number: int, epoch: int, accuracy: float) -> bool:
        return False


EarlyStoppingOf = Callable[[SearchConfig, int], EarlyStopping]  # of a search whose trials have so many epochs
