"""Knobs of the self-analysing stage. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import knob
from kd_core.recipe import Recipe

LAST, BEST = KEPT = ("last", "best")


@dataclass(frozen=True)
class AnalysisConfig(Recipe):
    """The granularities at which a teacher is analysed, and the recipe of its analyser (Shao & Chen 2021, arXiv 2108.06681).

    The public code keeps the best epoch on the test split, on which no choice is made here: ``keep: best`` comes near it.
    """

    codes: tuple[int, ...] = knob((64, 256), "numbers in the code of each granularity, n", low=1)
    temperatures: tuple[float, ...] = knob((2.0, 8.0), "temperature of each granularity, T", above=0)
    epochs: int = knob(60, "passes over the training split", low=1)
    lr: float = knob(0.01, "peak learning rate", above=0)
    milestones: tuple[int, ...] | None = knob(
        None, "multistep: epochs at which the learning rate falls; default 1/2 and 3/4 of the epochs", low=0
    )

    keep: str = knob(
        LAST,
        "which epoch's weights are kept, of each granularity: the last, or the first whose logits are most accurate on the "
        "validation split",
        choices=KEPT,
        later=True,
    )

    def conflicts(self) -> list[str]:
        found = super().conflicts()
        if not self.codes or len(self.codes) != len(self.temperatures):
            given = f"{list(self.codes)} and {list(self.temperatures)}"
            found.append(f"`codes` and `temperatures` must hold a value for each granularity, but got {given}")
        return found

    @property
    def steps(self) -> tuple[float, ...]:
        """The milestones, or their default."""
        if self.milestones is None:
            return tuple(self.epochs * quarters / 4 for quarters in (2, 3))
        return self.milestones
