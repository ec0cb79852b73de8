"""Wide residual networks (Zagoruyko & Komodakis 2016, arXiv 1605.07146), WRN-depth-width, without dropout.

A block is BN-ReLU-conv3×3 twice. Where it changes the width, its shortcut is a 1×1 convolution of the first activation.
Features are the stages' residual sums: the blocks are pre-activated, and it is these sums that attention transfer speaks of in
wide networks (the public code of arXiv 1612.03928). The last BN-ReLU is the neck. Convolutions start from
N(0, 2 / (k²·outputs)), the head's weights as torch makes them, its biases at 0.
"""

from __future__ import annotations

from torch import Tensor, nn

from kd_core.models.layers import conv, initialise_convolutions
from kd_core.models.network import Network


class Block(nn.Module):
    """x + conv·act·conv·act(x), act = ReLU·BN."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width)
        self.shortcut = conv(inputs, width, 1, stride) if inputs != width else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x).relu_()
        y: Tensor = self.conv2(self.bn2(self.conv1(active)).relu_())
        return y.add_(x if self.shortcut is None else self.shortcut(active))


class WideResNet(Network):
    """Its blocks begin with a normalisation and a ReLU: a stage's last activation is the first of what follows it."""

    def stage_and_before(self, index: int, x: Tensor) -> tuple[Tensor, Tensor]:
        features_BCHW: Tensor = self.stages[index](x)
        following = self.neck if index + 1 == len(self.stages) else self.stages[index + 1]
        first = next(module for module in following.modules() if isinstance(module, nn.BatchNorm2d))
        return features_BCHW, first(features_BCHW)


def build(*, channels: int, classes: int, depth: int, width: int) -> Network:
    """WRN-depth-width, depth = 6n + 4: three stages of n blocks, 16, 32 and 64 times ``width`` wide."""
    count = (depth - 4) // 6
    stages: dict[str, nn.Module] = {}
    inputs = 16
    for stage, outputs in enumerate((16 * width, 32 * width, 64 * width)):
        layers = nn.Sequential()
        for index in range(count):
            layers.append(Block(inputs, outputs, stride=2 if stage > 0 and index == 0 else 1))
            inputs = outputs
        stages[f"block{stage + 1}"] = layers
    neck = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
    network = WideResNet(conv(channels, 16), stages, neck, inputs, classes)
    initialise_convolutions(network)
    nn.init.zeros_(network.head.bias)
    return network
