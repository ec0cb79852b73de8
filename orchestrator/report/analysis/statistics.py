"""Means over seeds, and paired comparisons with a control. Pure functions of numbers.

Pairing by seed removes what the seeds share (initialisation, order, augmentation): the test is Student's t on the differences.
Several comparisons with one control are corrected by Holm's step-down procedure (Holm 1979, Scand. J. Statist. 6, 65-70).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RESOLUTION = 1e-9  # differences of accuracy below it are rounding: one image of a million is 1e-6


@dataclass(frozen=True)
class Sample:
    """Values of several seeds. One value has no standard deviation and no interval."""

    n: int
    mean: float
    std: float | None  # of the sample, n − 1 in the denominator

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Confidence interval of the mean (Student's t)."""
        if self.std is None:
            return None
        half = _quantile(self.n - 1, confidence) * self.std / math.sqrt(self.n)
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Difference:
    """Value minus control over the ``n`` seeds that both have.

    The interval, the two-sided p-value and the effect size are None where no test is possible: one seed, or the same difference
    at every seed, which gives no estimate of the spread.
    """

    n: int
    mean: float
    interval: tuple[float, float] | None
    p: float | None
    effect: float | None = None  # the mean over the standard deviation of the differences (Cohen's d of pairs, d_z)


def sample(values: Sequence[float]) -> Sample | None:
    """Mean and sample standard deviation; None of no values."""
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else None
    return Sample(n, mean, std)


def paired(values: Mapping[int, float], control: Mapping[int, float], confidence: float = 0.95) -> Difference | None:
    """Paired t-test of values by seed against a control by seed; None where they share no seed."""
    from scipy.special import stdtr

    found = sample([value - control[seed] for seed, value in values.items() if seed in control])
    if found is None:
        return None
    if found.std is None or found.std < RESOLUTION:
        return Difference(found.n, found.mean, None, None)
    effect = found.mean / found.std
    p = float(2 * stdtr(found.n - 1, -abs(effect) * math.sqrt(found.n)))
    return Difference(found.n, found.mean, found.interval(confidence), p, effect)


def seeds_needed(std: float, difference: float, power: float = 0.8, level: float = 0.05) -> int:
    """The fewest pairs of seeds with which a two-sided paired t-test at ``level`` finds a true ``difference`` with this power,
    where the differences of seeds have the standard deviation ``std``: by the noncentral t distribution."""
    from scipy.stats import nct

    def found(n: int) -> float:
        noncentrality = abs(difference) / std * math.sqrt(n)
        bound = _quantile(n - 1, 1 - level)
        return float(nct.sf(bound, n - 1, noncentrality) + nct.cdf(-bound, n - 1, noncentrality))

    low, high = 1, 2  # at `low` too few
    while found(high) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values of a family of tests; those without a test stay None and do not count."""
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    worst = 0.0
    for rank, (p, index) in enumerate(known):
        worst = max(worst, min(1.0, (len(known) - rank) * p))
        adjusted[index] = worst
    return adjusted


def _quantile(degrees: int, confidence: float) -> float:
    """Half width of the central interval of Student's t that holds ``confidence``."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2))
