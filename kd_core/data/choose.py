"""Which images a job trains on and with which labels: pure functions of the labels and a generator."""

from __future__ import annotations

import torch
from torch import Tensor

from kd_core.data.splits import Images


def held_out(images: Images, count: int, generator: torch.Generator) -> tuple[Images, Images]:
    """The images without ``count`` of them, drawn at random with every class at its share, and those."""
    held = stratified(images.labels_N, count, generator)
    kept = torch.ones(len(images), dtype=torch.bool)
    kept[held] = False
    return images[kept], images[held]


def stratified(labels_N: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Positions (ascending) of ``count`` samples drawn at random, every class with its share.

    The r-th sample of a class of n (r from 0, in random order) stands at (r + ½)/n, and those that stand first are taken:
    Sainte-Laguë's apportionment. Equal generators give nested choices: the smaller lies in the larger.
    """
    shuffled_N = torch.randperm(len(labels_N), generator=generator)
    by_class_N = shuffled_N[labels_N[shuffled_N].argsort(stable=True)]
    sizes = labels_N.bincount().tolist()
    standing_N = torch.cat([(torch.arange(size, dtype=torch.float64) + 0.5) / size for size in sizes])
    return by_class_N[standing_N.argsort(stable=True)[:count]].sort().values


def with_noise(labels_N: Tensor, fraction: float, classes: int, generator: torch.Generator) -> Tensor:
    """The labels, exactly round(fraction · N) of them replaced by one of the other classes, each equally likely."""
    count = round(fraction * len(labels_N))
    wrong = torch.randperm(len(labels_N), generator=generator)[:count]
    shift = torch.randint(1, classes, (count,), generator=generator)
    noisy_N = labels_N.clone()
    noisy_N[wrong] = (labels_N[wrong] + shift) % classes
    return noisy_N
