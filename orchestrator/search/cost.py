"""What the trials of a search come to, before any has run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.experiment.search_config import ASHA, GRID, MEDIAN, PBT, SearchConfig
from orchestrator.experiment.space import points, read_space
from orchestrator.jobs.canonical import from_plain
from orchestrator.search import population


@dataclass(frozen=True)
class Cost:
    """``trials`` in all, each of which takes ``part`` of a whole training on average; at most ``width`` of them at a time, or
    any number; where ``rounds``, a round of so many begins when the one before has ended."""

    trials: int
    part: float
    width: int | None = None
    rounds: bool = False


def cost(search: Mapping[str, Any]) -> Cost:
    """Of a search's config. Where trials are ended early, how many survive is what the scheduler aims at."""
    how = from_plain(SearchConfig, search["how"])
    epochs = search["student"]["recipe"]["epochs"]
    if how.scheduler == PBT:
        generations = population.generations(how, epochs)
        return Cost(how.trials * generations, 1 / generations, how.trials, rounds=True)
    trials = sum(1 for _ in points(read_space(search["space"]))) if how.searcher == GRID else how.trials
    return Cost(trials, _part(how, epochs), how.parallel)


def _part(how: SearchConfig, epochs: int) -> float:
    """asha: all reach the grace, and one in ``reduction`` of each rung the next; median: half of them end at the grace."""
    grace = min(how.grace_of(epochs), epochs)
    if how.scheduler == MEDIAN:
        return (1 + grace / epochs) / 2
    if how.scheduler != ASHA:
        return 1.0
    spent, reached, alive, rung = 0.0, 0, 1.0, grace
    while reached < epochs:
        spent += alive * (min(rung, epochs) - reached)
        reached, alive, rung = min(rung, epochs), alive / how.reduction, rung * how.reduction
    return spent / epochs
