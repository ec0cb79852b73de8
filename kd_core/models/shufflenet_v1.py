"""ShuffleNet 1× with 3 groups for small images (Zhang et al. 2018, arXiv 1707.01083).

As in the CIFAR zoo of Tian et al. 2020 (arXiv 1910.10699): a 1×1 stem that keeps the size, three stages that halve it, a ReLU
after the depthwise convolution too. Features are the stages' outputs, after the ReLU. Initialised as torch makes its layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kd_core.models.layers import conv, conv_norm_relu
from kd_core.models.network import Network

GROUPS = 3
STEM = 24
WIDTHS = (240, 480, 960)
REPEATS = (4, 8, 4)


class Unit(nn.Module):
    """Grouped 1×1, shuffle, depthwise 3×3, grouped 1×1; added to the input or, at stride 2, put beside the pooled input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.groups = 1 if inputs == STEM else GROUPS  # the stem's channels are too few to be grouped
        width = outputs - inputs if stride == 2 else outputs
        hidden = width // 4
        self.conv1 = conv(inputs, hidden, 1, groups=self.groups)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = conv(hidden, hidden, 3, stride, groups=hidden)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = conv(hidden, width, 1, groups=GROUPS)
        self.bn3 = nn.BatchNorm2d(width)

    def before(self, x: Tensor) -> Tensor:
        """What its last ReLU is given."""
        y: Tensor = self.bn1(self.conv1(x)).relu_()
        if self.groups > 1:
            y = F.channel_shuffle(y, self.groups)
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(y))
        if self.stride == 1:
            return y.add_(x)
        return torch.cat([y, F.avg_pool2d(x, 3, stride=2, padding=1)], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.before(x).relu_()


def build(*, channels: int, classes: int) -> Network:
    """ShuffleNet 1× (g = 3)."""
    stages: dict[str, nn.Module] = {}
    inputs = STEM
    for stage, (outputs, repeats) in enumerate(zip(WIDTHS, REPEATS, strict=True)):
        units = nn.Sequential()
        for index in range(repeats):
            units.append(Unit(inputs, outputs, stride=2 if index == 0 else 1))
            inputs = outputs
        stages[f"layer{stage + 1}"] = units
    return Network(conv_norm_relu(channels, STEM, 1), stages, nn.Identity(), inputs, classes)
