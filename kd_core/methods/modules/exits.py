"""The exits of OFA-KD: logits from every stage of a network, of its map or of its tokens."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kd_core.methods.modules.adapters import BatchNorm

LARGEST_GRID = 7  # patches along each side that an exit of tokens works on
HEADS = 4


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


class Merging(nn.Module):
    """Four patches into one by a normalisation and a linear layer; the class token passes."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, width, bias=False)

    def forward(self, tokens_BPD: Tensor) -> Tensor:
        class_BD, patches_BPD = tokens_BPD[:, :1], tokens_BPD[:, 1:]
        half = self.side // 2
        squares = patches_BPD.unflatten(1, (half, 2, half, 2)).transpose(2, 3)  # B half half 2 2 D
        merged_BPD = self.reduce(self.norm(squares.flatten(3).flatten(1, 2)))
        return torch.cat([class_BD, merged_BPD], 1)


class TokenExit(nn.Module):
    """The logits BK that the class token gives behind some blocks of a transformer."""

    def __init__(self, positions: int, width: int, blocks: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        side = math.isqrt(positions - 1)
        while side >= 2 * LARGEST_GRID and side % 2 == 0:
            layers.append(Merging(side, width))
            side //= 2
        heads = math.gcd(HEADS, width)
        layers += [
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(blocks)
        ]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens_BPD: Tensor) -> Tensor:
        logits_BK: Tensor = self.head(self.layers(tokens_BPD)[:, 0])
        return logits_BK


class Exits(nn.Module):
    """An exit for every stage, shallow to deep.

    Args:
        stages: (C, H, W) or (P, D) of each.
        width: of what is pooled and read of a map.
    """

    def __init__(self, stages: Sequence[tuple[int, ...]], width: int, classes: int) -> None:
        super().__init__()
        self.exits = nn.ModuleList()
        for index, stage in enumerate(stages):
            following = len(stages) - 1 - index
            if len(stage) == 2:
                self.exits.append(TokenExit(*stage, max(following, 1), classes))
            else:
                self.exits.append(_of_map(stage[0], width, following, classes))
        self.apply(_initialise)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The logits BK of every exit."""
        return [exit_(said) for exit_, said in zip(self.exits, features, strict=True)]


def _of_map(channels: int, width: int, halvings: int, classes: int) -> nn.Module:
    widths = [channels * 2**step for step in range(halvings)] + [width]
    layers = [separable(*pair) for pair in itertools.pairwise(widths)] or [nn.Conv2d(channels, width, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, nn.MultiheadAttention):
        nn.init.trunc_normal_(module.in_proj_weight, std=0.02)
