"""ShuffleNetV2 1× for small images (Ma et al. 2018, arXiv 1807.11164).

As in the CIFAR zoo of Tian et al. 2020 (arXiv 1910.10699): a 1×1 stem that keeps the size and three stages that halve it; the
last 1×1 convolution is the neck. Features are the stages' outputs, after ReLU and shuffle. Initialised as torch makes its
layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kd_core.models.layers import conv_norm, conv_norm_relu
from kd_core.models.network import Network

STEM = 24
WIDTHS = (116, 232, 464)
REPEATS = (4, 8, 4)
NECK = 1024


class Unit(nn.Module):
    """Half of the channels pass; 1×1, depthwise 3×3 and 1×1 convolutions change the others; shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(
            *conv_norm_relu(half, half, 1),
            *conv_norm(half, half, 3, groups=half),
            *conv_norm_relu(half, half, 1),
        )

    def before(self, x: Tensor) -> Tensor:
        """Its output without its last ReLU, which those that pass do not need."""
        kept, changed = x.chunk(2, dim=1)
        return F.channel_shuffle(torch.cat([kept, self.branch[:-1](changed)], 1), 2)

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, dim=1)
        return F.channel_shuffle(torch.cat([kept, self.branch(changed)], 1), 2)


class Down(nn.Module):
    """Two branches that halve the size and see all channels, side by side; shuffled."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.left = nn.Sequential(
            *conv_norm(inputs, inputs, 3, stride=2, groups=inputs),
            *conv_norm_relu(inputs, half, 1),
        )
        self.right = nn.Sequential(
            *conv_norm_relu(inputs, half, 1),
            *conv_norm(half, half, 3, stride=2, groups=half),
            *conv_norm_relu(half, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.channel_shuffle(torch.cat([self.left(x), self.right(x)], 1), 2)


def build(*, channels: int, classes: int) -> Network:
    """ShuffleNetV2 1×."""
    stages: dict[str, nn.Module] = {}
    inputs = STEM
    for stage, (outputs, repeats) in enumerate(zip(WIDTHS, REPEATS, strict=True)):
        units = nn.Sequential(Down(inputs, outputs), *(Unit(outputs) for _ in range(repeats - 1)))
        stages[f"layer{stage + 1}"] = units
        inputs = outputs
    return Network(conv_norm_relu(channels, STEM, 1), stages, conv_norm_relu(inputs, NECK, 1), NECK, classes)
