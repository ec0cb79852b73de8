"""Swin transformers (Liu et al. 2021, arXiv 2103.14030): torchvision's, with patches and windows for small images.

Features are the stages' outputs, as maps: Swin has no class token. Dropped paths as in Swin-tiny, at most 0.2.
``torchvision:swin_t`` is the one for ImageNet.
"""

from __future__ import annotations

from kd_core.models.from_torchvision import TorchvisionNetwork, check_channels
from kd_core.models.network import Network
from kd_core.models.trace import find_stages
from kd_core.vision import models


def build(
    *, channels: int, classes: int, patch: int, window: int, width: int, depths: tuple[int, ...], heads: tuple[int, ...]
) -> Network:
    """A Swin transformer whose first stage is ``width`` wide.

    Raises:
        ValueError: if ``channels`` is neither 1 nor 3.
    """
    check_channels("a Swin transformer", channels)
    body = models.SwinTransformer(
        [patch] * 2, width, list(depths), list(heads), [window] * 2, stochastic_depth_prob=0.2, num_classes=classes
    )
    return TorchvisionNetwork(body, "head", find_stages(body))
