"""NORM's feature transform: an expansion and a contraction, each linear, for its student's last feature map."""

from __future__ import annotations

from torch import Tensor, nn

from kd_core.methods.modules.adapters import pointwise


class Transform(nn.Module):
    """Args: ``width`` of what is transformed, and of what it is expanded to, in channels."""

    def __init__(self, width: int, expanded: int) -> None:
        super().__init__()
        self.expand = pointwise(width, expanded)
        self.contract = pointwise(expanded, width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The expansion, and its contraction."""
        expanded_BCHW = self.expand(features_BCHW)
        return expanded_BCHW, self.contract(expanded_BCHW)
