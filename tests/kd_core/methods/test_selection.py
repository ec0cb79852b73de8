import math

import pytest

from kd_core.methods.selection import matched_accuracy, selection

# three teachers at two stages of the student
ACCURACY_ML = ((0.6, 0.9), (0.6 + 0.1 * math.log(3), 0.9), (0.2, 0.8))


def test_the_best_teacher_takes_all_and_the_earlier_wins_a_tie():
    assert selection(ACCURACY_ML, 1, 0.01) == ((0, 1), (1, 0), (0, 0))


def test_softmax_over_the_best_two():
    # stage 0: weights 1 : 3, stage 1: a tie
    chosen = selection(ACCURACY_ML, 2, 0.1)
    assert [row[0] for row in chosen] == pytest.approx([0.25, 0.75, 0])
    assert [row[1] for row in chosen] == [0.5, 0.5, 0]


@pytest.mark.parametrize("top", [3, 7, None])
def test_no_restriction_and_no_preference_is_uniform(top):
    assert selection(ACCURACY_ML, top, math.inf) == ((1 / 3,) * 2,) * 3


def test_a_tiny_temperature_does_not_overflow():
    assert selection(((0.1,), (0.9,)), 2, 1e-6) == ((0.0,), (1.0,))


def test_accuracy_is_taken_from_the_matched_stage():
    # the student's 8×8 stage listens to the teacher's last 8×8 stage, its 4×4 stage to the teacher's 4×4 stage
    probes = ((0.1, 0.2, 0.3), (0.5, 0.6))
    sizes = (((8, 8), (8, 8), (4, 4)), ((8, 8), (4, 4)))
    assert matched_accuracy(probes, ((8, 8), (4, 4)), sizes) == ((0.2, 0.3), (0.5, 0.6))
