"""What is known of a model without building it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelInfo:
    """A builder ``kd_core.models.<family>.build(channels=…, classes=…, **arguments)`` and what it is called with.

    A plugin's model has no family but ``make(channels=…, classes=…, **arguments)``, which returns a
    :class:`kd_core.models.network.Network`, or any module that gives logits BK; then ``stages`` are the paths of the submodules
    at whose outputs (BCHW) its stages end, shallow to deep, and ``head`` is that of its last linear layer.
    """

    family: str = ""
    description: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    smallest: int = 32  # H = W of an image of which every halving still leaves something
    parameters: int | None = None  # at 3 channels and 100 classes, where known without building
    make: Callable[..., Any] | None = None
    strides: tuple[int, ...] = ()  # of an image's size over that of each stage, where known without building
    embedding: int | None = None  # its dimension D, where known without building
    stages: tuple[str, ...] = ()
    head: str = ""
    larger: bool = True  # whether it takes larger ones too: not where every patch has a learned position
    tokens: bool = False  # whether its stages say tokens (P, D), and not feature maps
    version: int = 1  # raised where what a network of this name says has changed: it is in the keys of its jobs from 2 on

    def refusal(self, size: int) -> str:
        """Which images it takes instead of those of this height and width, in a few words; empty where it takes them."""
        if size < self.smallest:
            return f"takes images from {self.smallest}×{self.smallest} on" if self.larger else self._alone
        return "" if self.larger or size == self.smallest else self._alone

    @property
    def _alone(self) -> str:
        return f"takes images of {self.smallest}×{self.smallest} alone"

    def problem(self) -> str:
        """What is wrong with a plugin's entry, in a few words; empty where nothing is."""
        if not callable(self.make):
            return "has no `make`: a function of (channels, classes) that gives the network"
        if bool(self.stages) != bool(self.head):
            return "must name both `stages` and `head`, or neither where `make` gives a Network"
        return ""
