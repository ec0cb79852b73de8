"""MINE (Author et al. 2027, arXiv 0000.00000, eq. 1): how sure a student is of its first guesses.

sureness = mean over test images of the sum of the largest `top` probabilities
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.data.batches import plain_batches
from kd_core.data.splits import Splits
from kd_core.evaluation.evaluation import Evaluation, Subject
from kd_core.knobs import Knobs, knob
from kd_core.lazy import torch


class Mine(Evaluation):
    @dataclass(frozen=True)
    class Config(Knobs):
        top: int = knob(1, "how many guesses", low=1)

    @staticmethod
    def numbers(config: Config) -> tuple[str, ...]:
        return ("sureness",)

    @staticmethod
    def run(subject: Subject, splits: Splits, config: Config) -> dict[str, float]:
        batches = plain_batches(splits, "test", subject.device)
        with torch.no_grad():
            sure = [subject.predict(batch.images_BCHW).softmax(1).topk(config.top).values.sum(1) for batch in batches]
        return {"sureness": torch.cat(sure).mean().item()}


EVALUATIONS = {"mine": Mine}
