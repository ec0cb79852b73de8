"""Every model by its name in YAML. Reading this table imports no torch; :func:`build` does."""

from __future__ import annotations

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


MODELS: dict[str, ModelInfo] = {}


def build(name: str, *, channels: int, classes: int) -> Network:
    """A freshly initialised network, from the generator state that torch has now."""
    info = MODELS[name]
    module = importlib.import_module(f"kd_core.models.{info.family}")
    return module.build(channels=channels, classes=classes, **info.arguments)
