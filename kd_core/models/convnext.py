"""ConvNeXt (Liu et al. 2022, arXiv 2201.03545): torchvision's, with a stem for small images.

Features are the stages' outputs; the embedding is normalised behind the pooling. Dropped paths as in ConvNeXt-tiny, at most
0.1. ``torchvision:convnext_tiny`` is the one for ImageNet.
"""

from __future__ import annotations

import itertools

from torch import nn

from kd_core.models.from_torchvision import TorchvisionNetwork, check_channels
from kd_core.models.network import Network
from kd_core.models.trace import find_stages
from kd_core.vision import models


def build(*, channels: int, classes: int, patch: int, widths: tuple[int, ...], blocks: tuple[int, ...]) -> Network:
    """A ConvNeXt with ``blocks[l]`` blocks of width ``widths[l]`` in stage l, whose stem reads patches of ``patch``².

    Raises:
        ValueError: if ``channels`` is neither 1 nor 3.
    """
    check_channels("a ConvNeXt", channels)
    stages = zip(itertools.pairwise((*widths, None)), blocks, strict=True)
    settings = [models.convnext.CNBlockConfig(width, following, count) for (width, following), count in stages]
    body = models.ConvNeXt(settings, stochastic_depth_prob=0.1, num_classes=classes)
    body.features[0][0] = nn.Conv2d(3, widths[0], patch, patch)  # torchvision's strides by 4
    nn.init.trunc_normal_(body.features[0][0].weight, std=0.02)
    nn.init.zeros_(body.features[0][0].bias)
    return TorchvisionNetwork(body, "classifier.2", find_stages(body))
