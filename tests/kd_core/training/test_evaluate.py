"""What is told of a network on a split, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from kd_core.data.batches import plain_batches
from kd_core.knowledge import Batch
from kd_core.training.evaluate import evaluate, scores
from tests.support import small


def one(logits_BK, labels):
    labels_B = torch.tensor(labels)
    return (lambda images: torch.tensor(logits_BK)), [Batch(torch.zeros(len(labels), 1, 1, 1), labels_B, labels_B, labels_B, 0)]


def test_scores_by_hand():
    # (3/4, 1/4) twice, labels 0 and 1: Brier 2 · (1/4)² and 2 · (3/4)²
    found = scores(*one([[math.log(3), 0.0]] * 2, [0, 1]))
    assert found.accuracy == 0.5
    assert found.brier == pytest.approx((2 / 16 + 18 / 16) / 2)
    assert found.loss == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)
    assert found.top5 is None
    assert found.predicted_N.tolist() == [0, 0]


def test_five_of_fifty():
    logits = torch.zeros(3, 50)
    logits[:, :6] = torch.arange(6, 0, -1.0)  # classes 0 to 5, in this order
    found = scores(*one(logits.tolist(), [0, 4, 5]))
    assert (found.accuracy, found.top5) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_they_are_what_evaluate_says_to_the_bit():
    network, splits = small.network().eval(), small.splits()
    found = scores(network, plain_batches(splits, "test", "cpu", batch_size=8))
    assert (found.accuracy, found.loss) == evaluate(network, plain_batches(splits, "test", "cpu", batch_size=8))
    assert len(found.predicted_N) == len(splits.test)
