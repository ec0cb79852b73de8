"""Vision transformers (Dosovitskiy et al. 2021, arXiv 2010.11929): torchvision's, at sizes that it has no name for.

DeiT-tiny (Touvron et al. 2021, arXiv 2012.12877) is such a one, here without its distillation token and without dropped paths,
and so is ViT-Lite for 32×32 (Hassani et al. 2021, arXiv 2104.05704). Stages end behind a sixth, a third and five sixths of the
blocks and behind the last, where OFA-KD (Hao et al. 2023, arXiv 2310.19444) reads twelve of them; features are the tokens
there, the class token first. The embedding is the class token behind the last normalisation. Linear layers start from
N(0, 0.02²) cut off at ±2, as DeiT's, the head among them, which torchvision leaves at 0.
"""

from __future__ import annotations

from torch import nn

from kd_core.models.from_torchvision import TorchvisionNetwork, check_channels, transformer_stages
from kd_core.models.network import Network
from kd_core.vision import models


def build(*, channels: int, classes: int, image: int, patch: int, depth: int, width: int, heads: int, hidden: int) -> Network:
    """A transformer of ``depth`` blocks over the patches of an ``image`` × ``image``, in tokens of ``width``.

    Raises:
        ValueError: if ``channels`` is neither 1 nor 3.
    """
    check_channels("a vision transformer", channels)
    body = models.VisionTransformer(image, patch, depth, heads, width, hidden, num_classes=classes)
    for layer in body.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    return TorchvisionNetwork(body, "heads.head", transformer_stages(body))
