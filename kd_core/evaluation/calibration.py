"""Calibration: expected calibration error on the test split (Guo et al. 2017, arXiv 1706.04599, eq. 3).

ECE = Σ_b |B_b| / N · |accuracy(B_b) − confidence(B_b)|, over bins of equal width of the largest probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.evaluation.evaluation import Evaluation, Subject
from kd_core.knobs import Knobs, knob
from kd_core.lazy import F, torch

if TYPE_CHECKING:
    from torch import Tensor

    from kd_core.data.splits import Splits


def expected_calibration_error(logits_NK: Tensor, labels_N: Tensor, bins: int) -> float:
    """ECE in [0, 1] at temperature 1; a bin holds confidences in (b / bins, (b + 1) / bins]."""
    confidence_N, predicted_N = torch.softmax(logits_NK.double(), dim=1).max(1)
    gap_N = (predicted_N == labels_N).double() - confidence_N
    bin_N = (confidence_N * bins).ceil().long().clamp(1, bins) - 1
    return (
        torch.zeros(bins, dtype=torch.float64, device=gap_N.device).index_add_(0, bin_N, gap_N).abs().sum() / len(gap_N)
    ).item()


class Calibration(Evaluation):
    unscaled = frozenset({"nll"})
    less_is_better = frozenset({"ece", "nll"})

    @dataclass(frozen=True)
    class Config(Knobs):
        bins: int = knob(15, "bins of equal width", low=1, high=1000)

    @staticmethod
    def numbers(config: Config) -> tuple[str, ...]:
        return ("ece", "nll")

    @staticmethod
    def run(subject: Subject, splits: Splits, config: Config) -> dict[str, float]:
        from kd_core.data.batches import plain_batches

        logits, labels = [], []
        with torch.inference_mode():
            for batch in plain_batches(splits, "test", subject.device):
                logits.append(subject.predict(batch.images_BCHW).float())
                labels.append(batch.labels_B)
        logits_NK, labels_N = torch.cat(logits), torch.cat(labels)
        return {
            "ece": expected_calibration_error(logits_NK, labels_N, config.bins),
            "nll": F.cross_entropy(logits_NK, labels_N).item(),
        }
