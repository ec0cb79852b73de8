"""Every model by its name in YAML. Reading this table imports no torch; :func:`build` does.

Besides the CIFAR zoo of the literature: ``torchvision:NAME``, any of torchvision's classifiers, and ``timm:NAME``, where timm is
installed.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kd_core.models.network import Network


@dataclass(frozen=True)
class ModelInfo:
    """A builder ``kd_core.models.<family>.build(channels=…, classes=…, **arguments)`` and what it is called with."""

    family: str
    about: str
    arguments: dict[str, Any] = field(default_factory=dict)
    smallest: int = 32  # H = W at which every stride still finds two pixels to make one of
    parameters: int | None = None  # at 3 channels and 100 classes, where known without building


def _resnet(depth: int, parameters: int, widths: tuple[int, ...] = (16, 16, 32, 64), name: str = "") -> ModelInfo:
    blocks = ((depth - 2) // 6,) * 3
    arguments = {"stem": widths[0], "widths": widths[1:], "blocks": blocks}
    return ModelInfo("resnet", f"ResNet, {depth} layers, {name}", arguments, 4, parameters)
