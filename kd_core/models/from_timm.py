"""Any of timm's classifiers with a linear head, where timm is installed (github.com/huggingface/pytorch-image-models).

A stage is the last of timm's own intermediate maps at each reduction of the image. The embedding is what the head reads. timm
fits the first convolution to the channels.
"""

from __future__ import annotations

from typing import Any

import kd_core.vision  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm
from torch import Tensor, nn

from kd_core.models.network import Network
from kd_core.models.wrapped import Wrapped


class TimmNetwork(Wrapped):
    """A timm classifier; stage l is intermediate ``indices[l]``."""

    body: Any

    def __init__(self, body: Any, head_name: str, stages: dict[str, int]) -> None:
        super().__init__(body, head_name, tuple(stages))
        self.indices = list(stages.values())

    def extract_features(self, images_BCHW: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        last, maps = self.body.forward_intermediates(images_BCHW, indices=self.indices, output_fmt="NCHW")
        return tuple(maps), self.body.forward_head(last, pre_logits=True)


def build(*, channels: int, classes: int, name: str) -> Network:
    """timm's ``name``.

    Raises:
        ValueError: if its intermediates cannot be observed, or its head is not one linear layer.
    """
    body: Any = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels)
    if not hasattr(body, "forward_intermediates"):
        raise ValueError(f"timm:{name} does not show its intermediate feature maps (timm's forward_intermediates)")
    head = body.get_classifier()
    if not isinstance(head, nn.Linear):
        raise ValueError(f"timm:{name} must end in one linear layer to be observed, but ends in {type(head).__name__}")
    head_name = next(path for path, module in body.named_modules() if module is head)
    last = {info["reduction"]: (info["module"], index) for index, info in enumerate(body.feature_info)}
    return TimmNetwork(body, head_name, dict(last.values()))
