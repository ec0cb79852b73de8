"""Any of torchvision's classifiers, observed at its stages.

The architecture is torchvision's own, with a classifier of K classes and its own initialisation. The embedding is what its last
linear layer reads: the pooled features, or the last hidden layer where the classifier has some. GoogLeNet and Inception come
without their auxiliary classifiers, and SqueezeNet, whose last layer is a ReLU over a convolution, gets a linear layer on its
pooled features. Grey images are repeated to three channels, so that pretrained weights fit them too.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from kd_core.models.network import Network
from kd_core.models.trace import Stage, find_stages
from kd_core.models.wrapped import Wrapped
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
        outputs: dict[str, Tensor] = {}
        hooks = [
            self.body.get_submodule(end.path).register_forward_hook(partial(_capture, outputs, end.path)) for end in self.ends
        ]
        try:
            embedding_BD = self.body(images_BCHW.expand(-1, 3, -1, -1))
        finally:
            for hook in hooks:
                hook.remove()
        return tuple(end.map_BCHW(outputs[end.path]) for end in self.ends), embedding_BD


def _capture(outputs: dict[str, Tensor], path: str, module: nn.Module, inputs: object, output: Tensor) -> None:
    outputs[path] = output


def build(*, channels: int, classes: int, name: str) -> Network:
    """torchvision's ``name``.

    Raises:
        ValueError: if ``channels`` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"torchvision:{name} takes images of 1 or 3 channels, but got {channels}")
    body = models.get_model(name, weights=None, num_classes=classes, **OPTIONS.get(name, {}))
    if name.startswith("squeezenet"):
        body.classifier = nn.Sequential(nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    head_name = [path for path, module in body.named_modules() if isinstance(module, nn.Linear)][-1]
    return TorchvisionNetwork(body, head_name, find_stages(body))
