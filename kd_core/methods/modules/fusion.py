"""The student's side of ReviewKD: stages fused from deep to shallow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kd_core.methods.modules.adapters import BatchNorm, pointwise


class Fusion(nn.Module):
    """One stage, fused by attention with what comes from deeper, and brought to the teacher's channels."""

    def __init__(self, inputs: int, width: int, outputs: int, deepest: bool) -> None:
        super().__init__()
        self.narrow = pointwise(inputs, width)
        self.attend = None if deepest else nn.Conv2d(2 * width, 2, 1)
        self.widen = nn.Sequential(nn.Conv2d(width, outputs, 3, padding=1, bias=False), BatchNorm(outputs))
        for convolution in (*self.narrow.children(), *self.widen.children()):
            if isinstance(convolution, nn.Conv2d):
                nn.init.kaiming_uniform_(convolution.weight, a=1)  # as the public code draws them

    def forward(self, features_BCHW: Tensor, deeper_BCHW: Tensor | None) -> tuple[Tensor, Tensor]:
        """For the teacher, and for the next shallower stage."""
        fused_BCHW = self.narrow(features_BCHW)
        if self.attend is not None and deeper_BCHW is not None:
            deeper_BCHW = F.interpolate(deeper_BCHW, fused_BCHW.shape[2:], mode="nearest")
            share_B2HW = torch.sigmoid(self.attend(torch.cat([fused_BCHW, deeper_BCHW], 1)))
            fused_BCHW = fused_BCHW * share_B2HW[:, :1] + deeper_BCHW * share_B2HW[:, 1:]
        return self.widen(fused_BCHW), fused_BCHW


class Review(nn.Module):
    """The fusions of all stages, shallow to deep: ``inputs`` channels of the student's, ``outputs`` of the teacher's."""

    def __init__(self, inputs: list[int], outputs: list[int], width: int) -> None:
        super().__init__()
        last = len(inputs) - 1
        pairs = enumerate(zip(inputs, outputs, strict=True))
        self.fusions = nn.ModuleList(Fusion(one, width, other, depth == last) for depth, (one, other) in pairs)

    def forward(self, features: tuple[Tensor, ...]) -> list[Tensor]:
        """What is compared with the teacher's, shallow to deep."""
        deeper_BCHW, reviewed = None, []
        for fusion, features_BCHW in zip(reversed(list(self.fusions)), reversed(features), strict=True):
            for_teacher_BCHW, deeper_BCHW = fusion(features_BCHW, deeper_BCHW)
            reviewed.append(for_teacher_BCHW)
        return reviewed[::-1]
