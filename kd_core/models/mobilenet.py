"""MobileNetV2 for small images (Sandler et al. 2018, arXiv 1801.04381, table 2).

As in the CIFAR zoo of Tian et al. 2020 (arXiv 1910.10699): ReLU instead of ReLU6, the stem strides by 2 and the second
bottleneck does not, an expansion of 1 keeps its 1×1 convolution, widths are multiplied without rounding to eights, and the last
1×1 convolution (the neck) is 1280 wide at any width. Features are the outputs of the last linear bottleneck of each size.
Convolutions start from N(0, 2 / (k²·outputs)), the head from N(0, 0.01²), biases at 0.
"""

from __future__ import annotations

from torch import Tensor, nn

from kd_core.models.layers import conv_norm, conv_norm_relu, initialise_convolutions, initialise_head
from kd_core.models.network import Network

# (expansion, outputs, repeats, stride) of the bottlenecks of each stage; a stage ends where the size is halved next
STAGES: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "blocks0-1": ((1, 16, 1, 1), (6, 24, 2, 1)),
    "blocks2": ((6, 32, 3, 2),),
    "blocks3-4": ((6, 64, 4, 2), (6, 96, 3, 1)),
    "blocks5-6": ((6, 160, 3, 2), (6, 320, 1, 1)),
}


class Bottleneck(nn.Module):
    """Inverted residual: expanding 1×1, depthwise 3×3, linear 1×1, and the input added where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *conv_norm_relu(inputs, hidden, 1),
            *conv_norm_relu(hidden, hidden, 3, stride, groups=hidden),
            *conv_norm(hidden, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y.add_(x) if self.residual else y


def build(*, channels: int, classes: int, width: float) -> Network:
    """MobileNetV2 with every width but the last multiplied by ``width``, at most 1."""
    inputs = int(32 * width)
    stem = conv_norm_relu(channels, inputs, 3, stride=2)
    stages: dict[str, nn.Module] = {}
    for name, bottlenecks in STAGES.items():
        layers = nn.Sequential()
        for expansion, full, repeats, stride in bottlenecks:
            outputs = int(full * width)
            for index in range(repeats):
                layers.append(Bottleneck(inputs, outputs, stride if index == 0 else 1, expansion))
                inputs = outputs
        stages[name] = layers
    network = Network(stem, stages, conv_norm_relu(inputs, 1280, 1), 1280, classes)
    initialise_convolutions(network)
    initialise_head(network.head)
    return network
