"""What answers a batch in a teacher's place: a bank, or here the teacher itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch

if TYPE_CHECKING:
    from kd_core.models.network import Network

Source = Callable[[Batch], Knowledge]


def said(source: Source, batch: Batch) -> Knowledge:
    """What a network says of a batch, under each of its views."""
    first, *others = (source(view) for view in (batch, *batch.others))
    return replace(first, others=tuple(others)) if others else first


class Live:
    """A teacher that is asked: one forward pass a batch, whatever the number of loss terms that use it."""

    def __init__(self, network: Network, device: str, needs: frozenset[Need] = frozenset()) -> None:
        self.network = network.on(device).eval().requires_grad_(False)
        self.more = {"before": True} if Need.BEFORE in needs else {}

    def __call__(self, batch: Batch) -> Knowledge:
        with torch.no_grad():
            return self.network.observe(batch.images_BCHW, **self.more)
