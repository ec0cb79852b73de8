"""Wasserstein distances: by hand, and against a plain programme with a matrix of costs for each sample."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from kd_core.knowledge import NetworkShape
from kd_core.laws.toys import batch_of
from kd_core.methods.wkd import VARIANCE, class_costs_KK, fall, moments_BCG, transport_B
from tests.support.hand import logits, mapped, of

THREE = NetworkShape(stages=((2, 1, 2),), embedding=2, classes=3)


def head(*rows: tuple[float, ...]) -> torch.nn.Linear:
    linear = torch.nn.Linear(len(rows[0]), len(rows))
    linear.weight.data = torch.tensor(rows)
    return linear


def test_classes_are_unlike_by_the_angle_between_their_weights() -> None:
    """Directions (1, 0), (0, 1) and (−1, 0): cosines 0 and −1, so 1 − e^−1 and 1 − e^−2."""
    costs_KK = class_costs_KK(torch.tensor([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]]), 1.0)
    near, far = 1 - math.exp(-1), 1 - math.exp(-2)
    torch.testing.assert_close(costs_KK, torch.tensor([[0, near, far], [near, 0, near], [far, near, 0]]))


def test_carrying_all_from_one_class_to_another_costs_what_lies_between_them() -> None:
    """The label is class 0. The student says class 1 alone, the teacher class 2 alone: the cost of 1 → 2."""
    costs_KK = torch.tensor([[0.0, 9.0, 9.0], [9.0, 0.0, 0.3], [9.0, 0.3, 0.0]])
    one, two = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    found = transport_B(one, two, torch.tensor([0]), costs_KK, 0.05, 10)
    torch.testing.assert_close(found, torch.tensor([0.3]), rtol=1e-4, atol=0)


def test_one_matrix_of_costs_does_for_all_labels() -> None:
    """As with a matrix for each sample, from which its label's row and column are cut out."""
    torch.manual_seed(0)
    source, target, labels_B = torch.randn(5, 6), torch.randn(5, 6), torch.tensor([0, 3, 5, 1, 1])
    costs_KK = class_costs_KK(torch.randn(6, 4), 1.0)
    keep_BK = ~F.one_hot(labels_B, 6).bool()
    expected = []
    for row, keep_K in enumerate(keep_BK):
        costs = costs_KK[keep_K][:, keep_K]
        kernel = torch.exp(-costs / 0.05)
        ours, theirs = (torch.softmax(each[row][keep_K], 0) for each in (source, target))
        rows = torch.full((5,), 1 / 5)
        for _ in range(10):
            columns = theirs / (kernel.T @ rows + 1e-8)
            rows = ours / (kernel @ columns + 1e-8)
        expected.append((rows[:, None] * kernel * columns * costs).sum())
    ours_BK, theirs_BK = (torch.softmax(each.masked_fill(~keep_BK, -1e4), 1) for each in (source, target))
    torch.testing.assert_close(transport_B(ours_BK, theirs_BK, labels_B, costs_KK, 0.05, 10), torch.stack(expected))


def test_the_weight_falls_as_half_a_cosine_behind_the_constant_part() -> None:
    assert [fall(progress, 0.5) for progress in (0.0, 0.5)] == [1.0, 1.0]
    assert fall(0.75, 0.5) == pytest.approx(0.5)
    assert fall(0.999999, 0.5) == pytest.approx(0, abs=1e-6)
    assert fall(0.9, 1.0) == 1.0


def test_wkd_l_by_hand() -> None:
    """The label is class 0, of which the teacher holds ½ and the student ¼: −½ ln ¼. Of the others both say (½, ½), so little
    is carried that the transport is less than a hundredth of the cost between them."""
    student, teacher = logits((math.log(2 / 3), 0.0, 0.0)), logits((math.log(2), 0.0, 0.0))
    weights = head((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0))
    method = of("wkd_l", 1, THREE, 1, (weights,), beta=1.0, temperature=1.0, constant=1.0)
    terms = method.forward(student, (teacher,), batch_of(1), 0.0).terms
    assert terms["ce"].item() == pytest.approx(math.log(4))
    assert terms["label"].item() == pytest.approx(0.5 * math.log(4))
    assert 0 < terms["transport"].item() < 0.01 * (1 - math.exp(-1))


def test_moments_of_cells() -> None:
    """Four cells of one row and two columns each: means 2, 6, 10 and 14, and deviations √2 of two numbers that differ by 2."""
    features = torch.tensor([[[[1.0, 3.0, 5.0, 7.0], [9.0, 11.0, 13.0, 15.0]]]])
    mean_BCG, deviation_BCG = moments_BCG(features, 2)
    assert mean_BCG.tolist() == [[[2.0, 6.0, 10.0, 14.0]]]
    torch.testing.assert_close(deviation_BCG, torch.full((1, 1, 4), math.sqrt(2 + VARIANCE)))


def test_wkd_f_by_hand() -> None:
    """Without its adapter: channel 0 has mean 1 against 2, channel 1 the same mean and deviation √2 against √8."""
    student, teacher = mapped([[[1.0, 1.0]], [[1.0, 3.0]]]), mapped([[[2.0, 2.0]], [[0.0, 4.0]]])
    method = of("wkd_f", 1, samples=1, beta=10.0, ratio=4.0)
    method.own = torch.nn.ModuleDict({"teacher0": torch.nn.Identity()})
    terms = method.forward(student, (teacher,), batch_of(1), 0.0).terms
    expected = 10 * (4 * 1 + (math.sqrt(8 + VARIANCE) - math.sqrt(2 + VARIANCE)) ** 2)
    assert terms["wasserstein"].item() == pytest.approx(expected, rel=1e-5)
