"""Robustness: accuracy on the test split under Gaussian pixel noise (a claim of Shao & Chen 2021, arXiv 2108.06681).

Noise of deviation s on the scale 0..1 is added to the image before normalisation; the result is clipped to [0, 1]. Every
student sees the same noise: it is a function of (strength, index) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.evaluation.evaluation import Evaluation, Subject
from kd_core.knobs import Knobs, knob
from kd_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from kd_core.data.splits import Splits


def noisy(images_BCHW: Tensor, noise_BCHW: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    """Normalised images with noise added on the pixel scale 0..1, clipped there, and normalised again."""
    mean_C11, std_C11 = mean_C[:, None, None], std_C[:, None, None]
    pixels_BCHW = (images_BCHW * std_C11 + mean_C11 + noise_BCHW).clamp(0, 1)
    return (pixels_BCHW - mean_C11) / std_C11


class Robustness(Evaluation):
    @dataclass(frozen=True)
    class Config(Knobs):
        strengths: tuple[float, ...] = knob((0.05, 0.1, 0.2), "deviations of the noise, of a pixel scale 0..1", above=0, high=1)
        seed: int = knob(0, "seed of the noise", low=0)

    @staticmethod
    def numbers(config: Config) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"accuracy@{strength:g}" for strength in config.strengths))

    @staticmethod
    def run(subject: Subject, splits: Splits, config: Config) -> dict[str, float]:
        """Accuracy in [0, 1] at every strength, named ``accuracy@0.1``."""
        from kd_core.data.batches import plain_batches
        from kd_core.random import generator

        mean_C, std_C = (torch.tensor(values, device=subject.device) for values in (splits.mean, splits.std))
        found = {}
        with torch.inference_mode():
            for strength in config.strengths:
                correct, drawn = 0.0, generator(config.seed, "noise", f"{strength:g}")
                for batch in plain_batches(splits, "test", subject.device):
                    noise = strength * torch.randn(batch.images_BCHW.shape, generator=drawn)
                    images = noisy(batch.images_BCHW, noise.to(subject.device), mean_C, std_C)
                    correct += (subject.predict(images).argmax(1) == batch.labels_B).sum().item()
                found[f"accuracy@{strength:g}"] = correct / len(splits.test)
        return found
