"""A trained student as it is taken away: from the pixels of an image to probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kd_core.data.views import normalise
from kd_core.methods.method import Method
from kd_core.models.network import Network


class Classifier(nn.Module):
    """From normalised images (BCHW) to the logits that count (BK): the network's or, where a method replaces its head, those
    that the method makes of what the network says."""

    def __init__(self, network: Network, method: Method | None = None) -> None:
        super().__init__()
        self.network = network
        self.parts = method.own if method else nn.ModuleDict()
        self.heads = nn.ModuleList(method.setting.heads if method else ())
        self._method = method

    @property
    def whole(self) -> bool:
        """Whether the network alone makes the logits."""
        return self._method is None

    def forward(self, images_BCHW: Tensor) -> Tensor:
        if self._method is None:
            logits_BK: Tensor = self.network(images_BCHW)
            return logits_BK
        return self._method.logits(self.network, images_BCHW)


class Deployed(nn.Module):
    """From images (uint8 BCHW, of the size that the student was trained on) to probabilities (BK)."""

    def __init__(self, logits: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.logits = logits
        self.register_buffer("mean_C", torch.tensor(mean))
        self.register_buffer("std_C", torch.tensor(std))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        assert isinstance(self.mean_C, Tensor)
        assert isinstance(self.std_C, Tensor)
        return torch.softmax(self.logits(normalise(images_BCHW, self.mean_C, self.std_C)), 1)
