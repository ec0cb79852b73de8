"""RegNets for small images (Radosavovic et al. 2020, arXiv 2003.13678): X, and Y with squeeze-and-excitation.

As in the CIFAR zoos (kuangliu's pytorch-cifar, MTKD-RL): a 3×3 stem of 64 channels that keeps the size, four stages, of which
the last two halve it. Features are the stages' outputs, after the ReLU. Initialised as torch makes its layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kd_core.models.layers import conv, conv_norm, conv_norm_relu
from kd_core.models.network import Network

STEM = 64
STRIDES = (1, 1, 2, 2)


class Squeeze(nn.Module):
    """Every channel times a share in (0, 1) that two layers make of all channels' means (Hu et al. 2018, arXiv 1709.01507)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.se1 = nn.Conv2d(channels, hidden, 1)
        self.se2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        share: Tensor = self.se2(self.se1(x.mean((2, 3), keepdim=True)).relu_())
        return x * torch.sigmoid(share)


class Block(nn.Module):
    """relu(conv1×1 · squeeze · grouped conv3×3 · conv1×1 + shortcut), one width throughout; the 3×3 convolution strides."""

    def __init__(self, inputs: int, width: int, stride: int, group: int, squeezes: bool) -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride, groups=width // group)
        self.bn2 = nn.BatchNorm2d(width)
        self.se = Squeeze(width, round(inputs / 4)) if squeezes else nn.Identity()
        self.conv3 = conv(width, width, 1)
        self.bn3 = nn.BatchNorm2d(width)
        self.shortcut = conv_norm(inputs, width, 1, stride) if stride > 1 or inputs != width else None

    def before(self, x: Tensor) -> Tensor:
        """What its last ReLU is given."""
        y: Tensor = self.bn1(self.conv1(x)).relu_()
        y = self.se(self.bn2(self.conv2(y)).relu_())
        y = self.bn3(self.conv3(y))
        return y.add_(x if self.shortcut is None else self.shortcut(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.before(x).relu_()


def build(
    *, channels: int, classes: int, widths: tuple[int, ...], blocks: tuple[int, ...], group: int, squeezes: bool = False
) -> Network:
    """A RegNet with ``blocks[l]`` blocks of width ``widths[l]`` in stage l, whose 3×3 convolutions have groups of ``group``
    channels."""
    stages: dict[str, nn.Module] = {}
    inputs = STEM
    for stage, (width, count, stride) in enumerate(zip(widths, blocks, STRIDES, strict=True)):
        layers = nn.Sequential()
        for index in range(count):
            layers.append(Block(inputs, width, stride if index == 0 else 1, group, squeezes))
            inputs = width
        stages[f"layer{stage + 1}"] = layers
    return Network(conv_norm_relu(channels, STEM), stages, nn.Identity(), inputs, classes)
