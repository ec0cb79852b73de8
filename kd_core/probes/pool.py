"""What a probe sees: the globally pooled features of every stage of a frozen network, of tokens the class token or the mean of
the patches, and its embedding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kd_core.data.batches import Part, plain_batches
from kd_core.data.splits import Splits
from kd_core.knowledge import spatial_size
from kd_core.models.network import Network
from kd_core.probes.config import CLASS


@dataclass(frozen=True)
class Layer:
    """One layer's features of a whole split, one vector an image; ``height`` × ``width`` is the size before."""

    name: str
    height: int
    width: int
    pooled_NC: Tensor


def pooled_BC(features: Tensor, tokens: str = CLASS) -> Tensor:
    """One vector an image, of a map BCHW its mean over positions, of tokens BPD as ``tokens`` says."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features[:, 0] if tokens == CLASS else features[:, 1:].mean(1)


def pool(
    network: Network,
    splits: Splits,
    part: Part,
    device: torch.device | str,
    batch_size: int = 512,
    tokens: str = CLASS,
) -> list[Layer]:
    """Every stage, shallow to deep, and last the embedding, all from one pass over a split without augmentation.

    The network observes in eval mode and without gradient, and is left in the mode in which it came.
    """
    was_training = network.training
    network.on(device).eval()
    pooled: list[tuple[Tensor, ...]] = []
    sizes: list[tuple[int, int]] = []
    with torch.no_grad():
        for batch in plain_batches(splits, part, device, batch_size):
            knowledge = network.observe(batch.images_BCHW)
            pooled.append((*(pooled_BC(features, tokens) for features in knowledge.features), knowledge.embedding_BD))
            sizes = [spatial_size(features.shape[1:]) for features in knowledge.features]
    network.train(was_training)
    names = (*network.stage_names, "embedding")
    whole = [torch.cat(batches) for batches in zip(*pooled, strict=True)]
    return [Layer(name, *size, pooled_NC) for name, size, pooled_NC in zip(names, [*sizes, (1, 1)], whole, strict=True)]
