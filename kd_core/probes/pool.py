"""What a probe sees: the globally pooled features of every stage of a frozen network, and its embedding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kd_core.data.batches import Part, plain_batches
from kd_core.data.splits import Splits
from kd_core.models.network import Network


@dataclass(frozen=True)
class Layer:
    """One layer's features of a whole split, averaged over positions; ``height`` × ``width`` is the size before."""

    name: str
    height: int
    width: int
    pooled_NC: Tensor


def pool(network: Network, splits: Splits, part: Part, device: torch.device | str, batch_size: int = 512) -> list[Layer]:
    """Every stage, shallow to deep, and last the embedding, all from one pass over a split without augmentation.

    The network observes in eval mode and without gradient, and is left in the mode in which it came.
    """
    was_training = network.training
    network.to(device).eval()
    pooled: list[tuple[Tensor, ...]] = []
    sizes: list[tuple[int, int]] = []
    with torch.no_grad():
        for batch in plain_batches(splits, part, device, batch_size):
            knowledge = network.observe(batch.images_BCHW)
            pooled.append((*(feature.mean((2, 3)) for feature in knowledge.features), knowledge.embedding_BD))
            sizes = [(feature.shape[2], feature.shape[3]) for feature in knowledge.features]
    network.train(was_training)
    names = (*network.stage_names, "embedding")
    whole = [torch.cat(batches) for batches in zip(*pooled, strict=True)]
    return [Layer(name, *size, pooled_NC) for name, size, pooled_NC in zip(names, [*sizes, (1, 1)], whole, strict=True)]
