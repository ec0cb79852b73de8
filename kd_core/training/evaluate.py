"""Accuracy and loss of a network on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kd_core.distributed import ALONE, Group
from kd_core.knowledge import Batch

TOP_5_FROM = 50  # classes, from which a top-5 accuracy is worth telling

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


@dataclass(frozen=True)
class Scores:
    """What is to be told of a network on a split."""

    accuracy: float  # top-1, in [0, 1]
    loss: float  # negative log-likelihood, in nats
    brier: float  # mean over samples of Σ_k (p_k − 1_y)² (Brier 1950), in [0, 2]
    top5: float | None  # None of fewer than TOP_5_FROM classes
    predicted_N: Tensor  # int64, on the CPU, in the order of the split


def scores(predict: Predict, batches: Iterable[Batch]) -> Scores:
    """Accuracy and loss as :func:`evaluate` has them, to the bit, and more."""
    predicted: list[Tensor] = []
    sums = dict.fromkeys(("correct", "loss", "brier", "top5"), 0.0)
    classes = 0
    with torch.inference_mode():
        for batch in batches:
            logits_BK = predict(batch.images_BCHW).float()
            classes, labels_B = logits_BK.shape[1], batch.labels_B
            predicted.append(logits_BK.argmax(1))
            sums["correct"] += (predicted[-1] == labels_B).sum().item()
            sums["loss"] += F.cross_entropy(logits_BK, labels_B, reduction="sum").item()
            gap_BK = torch.softmax(logits_BK, 1) - F.one_hot(labels_B, classes)
            sums["brier"] += gap_BK.square().sum().item()
            if classes >= TOP_5_FROM:
                sums["top5"] += (logits_BK.topk(5, 1).indices == labels_B[:, None]).sum().item()
    predicted_N = torch.cat(predicted).cpu()
    means = {name: value / len(predicted_N) for name, value in sums.items()}
    top5 = means["top5"] if classes >= TOP_5_FROM else None
    return Scores(means["correct"], means["loss"], means["brier"], top5, predicted_N)
