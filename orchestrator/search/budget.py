"""How many trials a search is."""

from __future__ import annotations

import math

from kd_core.knobs import Choice, IntUniform
from orchestrator.experiment.search_config import GRID, PBT, SearchConfig
from orchestrator.experiment.space import Space
from orchestrator.search.population import generations


def planned(how: SearchConfig, space: Space, epochs: int) -> int:
    """Trials in all, unless the space has fewer points: of a grid every point, of a population every member's generations."""
    if how.searcher == GRID:
        return math.prod(_points(distribution) for distribution in space.values())
    if how.scheduler == PBT:
        return how.trials * generations(how, epochs)
    return how.trials


def _points(distribution: object) -> int:
    if isinstance(distribution, Choice):
        return len(distribution.values)
    assert isinstance(distribution, IntUniform), "a continuous knob has no points"
    return distribution.high - distribution.low + 1
