"""Functions that several methods share."""

import pytest
import torch
from torch.nn import functional as F

from kd_core.losses import pooled


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((8, 8), (8, 8)),
        ((8, 8), (4, 2)),
        ((8, 4), (1, 1)),
        ((4, 2), (8, 8)),
        ((2, 8), (2, 16)),
        ((7, 8), (3, 4)),
        ((4, 8), (8, 4)),
    ],
)
def test_pooling_is_adaptive_average_pooling(before, after):
    """Whatever way it goes: the numbers and the gradient."""
    generator = torch.Generator().manual_seed(0)
    features_BCHW = torch.randn(2, 3, *before, generator=generator, dtype=torch.float64).requires_grad_()
    weights_BCHW = torch.randn(2, 3, *after, generator=generator, dtype=torch.float64)
    answers = []
    for pool in (pooled, F.adaptive_avg_pool2d):
        result_BCHW = pool(features_BCHW, after)
        answers.append((result_BCHW.detach(), *torch.autograd.grad((result_BCHW * weights_BCHW).sum(), features_BCHW)))
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("after", [(8, 8), (4, 2), (1, 1), (16, 8), (32, 32)])
def test_sizes_that_divide_one_another_need_no_kernel_without_a_deterministic_gradient(after):
    result_BCHW = pooled(torch.randn(1, 1, 8, 8, requires_grad=True), after)
    assert "Adaptive" not in str(result_BCHW.grad_fn)
