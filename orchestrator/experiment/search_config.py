"""How knobs are searched."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kd_core.knobs import Knobs, knob

TPE, RANDOM, GRID = SEARCHERS = ("tpe", "random", "grid")
ASHA, MEDIAN, PBT, NONE = SCHEDULERS = ("asha", "median", "pbt", "none")
SMALLEST_POPULATION = 4


@dataclass(frozen=True)
class SearchConfig(Knobs):
    """A search of the knobs of one student and method. It chooses on the validation split; no trial reads the test split."""

    trials: int = knob(20, "trials of each search; pbt: members of the population", low=1)
    searcher: str = knob(
        TPE, "tpe: Optuna's tree-structured Parzen estimator; random; grid: every combination of choices", choices=SEARCHERS
    )
    scheduler: str = knob(
        ASHA,
        "which trials are ended early; asha: successive halving; median; pbt: the worst copy the best; none",
        choices=SCHEDULERS,
    )
    epochs: int | None = knob(None, "epochs of a trial; default: those of the recipe", low=1)
    grace: int | None = knob(None, "epochs before a trial may be ended early; default: a ninth of all", low=1)
    reduction: int = knob(3, "asha: one in so many goes on at each rung", low=2)
    interval: int | None = knob(None, "pbt: epochs between two generations; default: a fifth of all", low=1)
    parallel: int | None = knob(None, "trials of one search at a time; 1 makes its sequence repeatable; null: no limit", low=1)
    seed: int = knob(0, "decides what is suggested, and the trials' own weights and batches", low=0)

    def conflicts(self) -> list[str]:
        found = []
        if self.scheduler == PBT and self.searcher == GRID:
            found.append("`scheduler` pbt starts from samples: `searcher` must be tpe or random, but is grid")
        if self.scheduler == PBT and self.trials < SMALLEST_POPULATION:
            found.append(f"`trials` must be >= {SMALLEST_POPULATION} for pbt, but got {self.trials}")
        return found

    def grace_of(self, epochs: int) -> int:
        """Epochs before a trial of so many may be ended."""
        return self.grace or max(1, epochs // 9)

    def interval_of(self, epochs: int) -> int:
        """Epochs of a generation."""
        return self.interval or math.ceil(epochs / 5)
