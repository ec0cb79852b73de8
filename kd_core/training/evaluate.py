"""Accuracy and loss of a network on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from kd_core.distributed import ALONE, Group
from kd_core.knowledge import Batch

Predict = Callable[[Tensor], Tensor]  # images BCHW to logits BK


def evaluate(predict: Predict, batches: Iterable[Batch], group: Group = ALONE) -> tuple[float, float]:
    """Top-1 accuracy in [0, 1] and mean cross-entropy in nats over all samples, those of every worker of the group."""
    correct, loss, count = 0.0, 0.0, 0.0
    with torch.inference_mode():
        for batch in batches:
            logits_BK = predict(batch.images_BCHW).float()
            correct += (logits_BK.argmax(1) == batch.labels_B).sum().item()
            loss += F.cross_entropy(logits_BK, batch.labels_B, reduction="sum").item()
            count += len(batch.labels_B)
    if group.size > 1:
        sums = torch.tensor([correct, loss, count], dtype=torch.float64, device=group.device)
        group.sum([sums])
        correct, loss, count = sums.tolist()
    return correct / count, loss / count
