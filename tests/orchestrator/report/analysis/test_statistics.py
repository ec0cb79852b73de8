import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.report.analysis.statistics import Difference, Sample, holm, paired, sample, seeds_needed

accuracies = st.lists(st.integers(0, 360).map(lambda right: right / 360), min_size=2, max_size=8)


def test_a_sample_by_hand():
    # mean 3; deviations −2, 0, 2: std = √(8 / 2) = 2
    assert sample([1.0, 3.0, 5.0]) == Sample(3, 3.0, 2.0)


def test_one_value_has_no_spread_and_none_is_no_sample():
    assert sample([0.9]) == Sample(1, 0.9, None)
    assert sample([0.9]).interval() is None
    assert sample([]) is None


def test_a_paired_difference_by_hand():
    # differences 0.02, 0.03, 0.01: mean 0.02, std 0.01, t = 0.02 / (0.01 / √3) = √12 with 2 degrees of freedom, for which
    # p = 1 − t / √(t² + 2) = 1 − √(12 / 14), and the 97.5 % quantile is 4.302653
    found = paired({0: 0.92, 1: 0.94, 2: 0.93}, {0: 0.90, 1: 0.91, 2: 0.92})
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert found.n == 3
    assert found.mean == pytest.approx(0.02)
    assert found.interval == pytest.approx((0.02 - half, 0.02 + half), abs=1e-8)
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14))


def test_only_seeds_that_both_have_are_paired():
    found = paired({1: 0.94, 2: 0.93, 7: 0.1}, {0: 0.5, 1: 0.91, 2: 0.92})
    assert (found.n, found.mean) == (2, pytest.approx(0.02))
    assert paired({7: 0.1}, {0: 0.5}) is None


def test_one_pair_has_no_test():
    assert paired({0: 0.92}, {0: 0.90}) == Difference(1, pytest.approx(0.02), None, None)


@pytest.mark.parametrize("shift", [0.0, 0.02])
def test_equal_differences_have_no_test(shift):
    control = {0: 0.90, 1: 0.91, 2: 0.93}
    found = paired({seed: value + shift for seed, value in control.items()}, control)
    assert found == Difference(3, pytest.approx(shift), None, None)


@given(accuracies, st.randoms())
def test_the_paired_test_is_that_of_scipy(control, random):
    values = [min(1.0, max(0.0, value + random.uniform(-0.1, 0.1))) for value in control]
    found = paired(dict(enumerate(values)), dict(enumerate(control)))
    if found.p is None:
        return
    theirs = stats.ttest_rel(values, control)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-9)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)), abs=1e-9)


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (50.0, 2)])
def test_seeds_that_a_difference_needs_are_those_of_the_tables(effect, n):
    """Of pairs, two-sided, power 0.8 (Cohen 1988, and G*Power's)."""
    assert seeds_needed(1.0, effect) == n
    assert seeds_needed(0.02, -0.02 * effect) == n


def test_a_simulation_finds_the_difference_as_often_as_was_asked():
    random = np.random.default_rng(0)
    draws = random.normal(0.5, 1.0, (20_000, seeds_needed(1.0, 0.5)))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.02)


def test_holm_by_hand():
    # ordered 0.01, 0.03, 0.04 times 3, 2, 1 is 0.03, 0.06, 0.04; none may be below the one before: 0.03, 0.06, 0.06
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_what_was_not_tested_does_not_count():
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
