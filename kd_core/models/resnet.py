"""ResNets for small images (He et al. 2016, arXiv 1512.03385, section 4.2).

A 3×3 stem without pooling, then stages of residual blocks; every stage but the first halves the size, its first shortcut is a
1×1 convolution (option B, as in the CIFAR zoo of Tian et al. 2020, arXiv 1910.10699). Features are the stages' outputs, after
the ReLU. Convolutions start from N(0, 2 / (k²·outputs)), the head as torch makes it.
"""

from __future__ import annotations

from torch import Tensor, nn

from kd_core.models.layers import conv, conv_norm, conv_norm_relu, initialise_convolutions
from kd_core.models.network import Network


class Basic(nn.Module):
    """relu(conv3×3 · conv3×3 + shortcut)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = conv_norm(inputs, width, 1, stride) if stride > 1 or inputs != width else None

    def before(self, x: Tensor) -> Tensor:
        """What its last ReLU is given."""
        y: Tensor = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y))
        return y.add_(x if self.shortcut is None else self.shortcut(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.before(x).relu_()


class Bottleneck(nn.Module):
    """relu(conv1×1 · conv3×3 · conv1×1 + shortcut), four times as wide at its ends; the 3×3 convolution strides."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = conv_norm(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else None

    def before(self, x: Tensor) -> Tensor:
        """What its last ReLU is given."""
        y: Tensor = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(y))
        return y.add_(x if self.shortcut is None else self.shortcut(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.before(x).relu_()


def build(
    *, channels: int, classes: int, stem: int, widths: tuple[int, ...], blocks: tuple[int, ...], bottleneck: bool = False
) -> Network:
    """A ResNet with ``blocks[l]`` blocks of width ``widths[l]`` in stage l, named ``layer1``, ``layer2``, …"""
    block = Bottleneck if bottleneck else Basic
    stages: dict[str, nn.Module] = {}
    inputs = stem
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        layers = nn.Sequential()
        for index in range(count):
            layers.append(block(inputs, width, stride=2 if stage > 0 and index == 0 else 1))
            inputs = width * block.expansion
        stages[f"layer{stage + 1}"] = layers
    network = Network(conv_norm_relu(channels, stem), stages, nn.Identity(), inputs, classes)
    initialise_convolutions(network)
    return network
