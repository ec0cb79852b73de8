"""Population-based training, in generations (Jaderberg et al. 2017, arXiv 1711.09846).

All members train for an interval. Then each of the worst quarter goes on with the weights of one of the best quarter and with
that one's knobs, perturbed; the others go on as they are. A generation begins when the last has ended, so what happens is a
pure function of the seed and the results, in whatever order members run: a killed search goes on as if nothing had been.

Perturbed: a continuous knob is multiplied by 0.8 or 1.2, as in the paper; ours: an integer moves by one, a choice becomes one
of the others; all stay within the space.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from kd_core.knobs import Choice, Distribution, IntUniform
from kd_core.random import derive
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.space import Space, Values
from orchestrator.search.trial import DONE, Trial

QUARTER = 0.25
FACTORS = (0.8, 1.2)


class Member(NamedTuple):
    """What a member of the next generation begins with."""

    values: Values
    parent: int  # the number of the trial whose weights it goes on with


def generations(how: SearchConfig, epochs: int) -> int:
    """How many generations so many epochs are."""
    return math.ceil(epochs / how.interval_of(epochs))


def span(how: SearchConfig, epochs: int, generation: int) -> tuple[int, int]:
    """The epochs that are done when a generation begins and when it ends."""
    interval = how.interval_of(epochs)
    return generation * interval, min(epochs, (generation + 1) * interval)


def offspring(space: Space, how: SearchConfig, last: Sequence[Trial], index: int) -> Member | None:
    """Member ``index`` of the generation after ``last``, which has ended; None where nothing of it is left to go on with."""
    ranked = sorted((trial for trial in last if trial.state == DONE), key=lambda trial: (-trial.accuracies[-1], trial.number))
    if not ranked:
        return None
    quarter = max(1, int(len(last) * QUARTER))
    me = last[index]
    if me in ranked[: len(last) - quarter]:
        return Member(me.values, me.number)
    draw = random.Random(derive(how.seed, "search", "offspring", me.number))
    model = draw.choice(ranked[:quarter])
    return Member({name: perturbed(known, model.values[name], draw) for name, known in space.items()}, model.number)


def perturbed(distribution: Distribution, value: Any, draw: random.Random) -> Any:
    """Another value near by, within the distribution."""
    if isinstance(distribution, Choice):
        others = [other for other in distribution.values if other != value]
        return draw.choice(others) if others else value
    if isinstance(distribution, IntUniform):
        moved = value + draw.choice((-1, 1))
    else:
        moved = value * draw.choice(FACTORS)
    return min(max(moved, distribution.low), distribution.high)
