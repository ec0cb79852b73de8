"""The networks of factor transfer: what finds the factors of a teacher's feature map, and what makes a student's like them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from torch import Tensor, nn

from kd_core.methods.modules.adapters import BatchNorm

SLOPE = 0.1  # of leaky ReLUs


class Paraphraser(nn.Module):
    """An autoencoder of feature maps BCHW, whose sizes (H, W) stay."""

    def __init__(self, encode: nn.Module, decode: nn.Module) -> None:
        super().__init__()
        self.encode = encode
        self.decode = decode

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """The map as its factors tell it."""
        decoded_BCHW: Tensor = self.decode(self.encode(features_BCHW))
        return decoded_BCHW


def paraphraser(channels: int, factors: int) -> Paraphraser:
    """From ``channels`` to ``factors`` and back, by three 3×3 convolutions each way."""
    encode = [nn.Conv2d(*widths, 3, padding=1) for widths in pairwise((channels, channels, factors, factors))]
    decode = [nn.ConvTranspose2d(*widths, 3, padding=1) for widths in pairwise((factors, factors, channels, channels))]
    return Paraphraser(_activated(encode), _activated(decode))


def _activated(layers: Iterable[nn.Module]) -> nn.Module:
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.LeakyReLU(SLOPE))))


def translator(channels: int, factors: int) -> nn.Module:
    """From a student's ``channels`` to ``factors``, by three 3×3 convolutions with normalisations."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise((channels, channels, factors, factors)):
        layers += [nn.Conv2d(narrow, wide, 3, padding=1), BatchNorm(wide), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)
