"""The exits of OFA-KD: logits from every stage of a network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from kd_core.methods.modules.adapters import BatchNorm


def separable(inputs: int, outputs: int) -> nn.Module:
    """Twice a depthwise 3×3 and a pointwise convolution, BN and ReLU; the first halves the size."""
    layers: list[nn.Module] = []
    for wide, stride in ((inputs, 2), (outputs, 1)):
        layers += [
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            nn.Conv2d(inputs, wide, 1, bias=False),
            BatchNorm(wide),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class Exits(nn.Module):
    """An exit for every stage, shallow to deep.

    Args:
        channels: of the stages.
        width: of what is pooled and read at each.
    """

    def __init__(self, channels: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.exits = nn.ModuleList()
        for stage, inputs in enumerate(channels):
            halvings = len(channels) - 1 - stage
            widths = [inputs * 2**step for step in range(halvings)] + [width]
            layers = [separable(*pair) for pair in itertools.pairwise(widths)] or [nn.Conv2d(inputs, width, 1)]
            self.exits.append(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)))
        self.apply(_initialise)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The logits BK of every exit."""
        return [exit_(features_BCHW) for exit_, features_BCHW in zip(self.exits, features, strict=True)]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
