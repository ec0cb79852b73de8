"""VGG with batch normalisation for small images (Simonyan & Zisserman 2015, arXiv 1409.1556).

As in the CIFAR zoo of Tian et al. 2020 (arXiv 1910.10699): five blocks of 3×3 convolutions with biases, 2×2 max pooling before
each of blocks 1, 2 and 3 (blocks 3 and 4 share a size and are one stage), global average pooling, and no hidden layer in the
classifier. Features are taken after the ReLU, before the pooling. Convolutions start from N(0, 2 / (k²·outputs)), the head from
N(0, 0.01²), biases at 0.
"""

from __future__ import annotations

from torch import nn

from kd_core.models.layers import initialise_convolutions, initialise_head
from kd_core.models.network import Network

WIDTHS = (64, 128, 256, 512, 512)
STAGES = {"block0": (0,), "block1": (1,), "block2": (2,), "block3-4": (3, 4)}


def build(*, channels: int, classes: int, blocks: tuple[int, ...]) -> Network:
    """A VGG with ``blocks[i]`` convolutions in block i."""
    stages: dict[str, nn.Module] = {}
    inputs = channels
    for name, members in STAGES.items():
        layers = nn.Sequential()
        if stages:
            layers.append(nn.MaxPool2d(2))
        for block in members:
            for _ in range(blocks[block]):
                layers.append(nn.Conv2d(inputs, WIDTHS[block], 3, padding=1))
                layers.append(nn.BatchNorm2d(WIDTHS[block]))
                layers.append(nn.ReLU(inplace=True))
                inputs = WIDTHS[block]
        stages[name] = layers
    network = Network(nn.Identity(), stages, nn.Identity(), inputs, classes)
    initialise_convolutions(network)
    initialise_head(network.head)
    return network
