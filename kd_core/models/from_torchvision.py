"""Any of torchvision's classifiers, observed at its stages.

The architecture is torchvision's own, with a classifier of K classes and its own initialisation. The embedding is what its last
linear layer reads: the pooled features, the class token, or the last hidden layer where the classifier has some. GoogLeNet and
Inception come without their auxiliary classifiers, and SqueezeNet, whose last layer is a ReLU over a convolution, gets a linear
layer on its pooled features. Grey images are repeated to three channels, so that pretrained weights fit them too.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from kd_core.models.network import Network
from kd_core.models.trace import Stage, find_stages
from kd_core.models.wrapped import Wrapped, overheard
from kd_core.vision import models

OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


class TorchvisionNetwork(Wrapped):
    """A torchvision classifier, whose modules at ``ends`` are overheard during the forward pass."""

    def __init__(self, body: nn.Module, head_name: str, ends: tuple[Stage, ...]) -> None:
        super().__init__(body, head_name, tuple(end.path for end in ends))
        self.ends = ends

    def extract_features(self, images_BCHW: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        with overheard(self.body, self.stage_names) as outputs:
            embedding_BD = self.body(images_BCHW.expand(-1, 3, -1, -1))
        return tuple(end.features(outputs[end.path]) for end in self.ends), embedding_BD


def check_channels(what: str, channels: int) -> None:
    """Raises:
    ValueError: if they are neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"{what} takes images of 1 or 3 channels, but got {channels}")


def transformer_stages(body: models.VisionTransformer) -> tuple[Stage, ...]:
    """Four, which end behind a sixth, a third and five sixths of the blocks and behind the last."""
    depth = len(body.encoder.layers)
    blocks = dict.fromkeys(max(1, round(depth * share)) for share in (1 / 6, 1 / 3, 5 / 6, 1))
    return tuple(Stage(f"encoder.layers.encoder_layer_{block - 1}", "BPD") for block in blocks)


def build(*, channels: int, classes: int, name: str) -> Network:
    """torchvision's ``name``.

    Raises:
        ValueError: if ``channels`` is neither 1 nor 3.
    """
    check_channels(f"torchvision:{name}", channels)
    body = models.get_model(name, weights=None, num_classes=classes, **OPTIONS.get(name, {}))
    if name.startswith("squeezenet"):
        body.classifier = nn.Sequential(nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    head_name = [path for path, module in body.named_modules() if isinstance(module, nn.Linear)][-1]
    stages = transformer_stages(body) if isinstance(body, models.VisionTransformer) else find_stages(body)
    return TorchvisionNetwork(body, head_name, stages)
