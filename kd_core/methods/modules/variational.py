"""The variational distribution of VID."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kd_core.losses import at_common_size

START = 5.0  # variance at the beginning
FLOOR = 1e-5


class Gaussian(nn.Module):
    """q(t | s): a mean of three 1×1 convolutions of the student's features, and a variance of its own for every channel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 1, bias=False),
        )
        self.raw_variance_C = nn.Parameter(torch.full((outputs,), math.log(math.expm1(START - FLOOR))))

    def forward(self, student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
        """−ln q(t | s) without its constant, the mean over samples, channels and positions."""
        student_BCHW, teacher_BCHW = at_common_size(student_BCHW, teacher_BCHW)
        variance_C11 = (F.softplus(self.raw_variance_C) + FLOOR)[:, None, None]
        squared_BCHW: Tensor = (self.mean(student_BCHW) - teacher_BCHW).square()
        return (squared_BCHW / variance_C11 + variance_C11.log()).mean() / 2
