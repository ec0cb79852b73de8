"""Which teachers a student's stage listens to, from the accuracies of linear classifier probes. Needs no torch.

    π_{t,l} = softmax over t of A_{t,l} / τ, restricted to the ``top`` best teachers of the stage

Probes: Alain & Bengio 2016, arXiv 1610.01644. Their use to select teachers in the middle layers: GPAC, Neural Networks 164
(2023) 345-356; the softmax, ``top`` and τ are our reading of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kd_core.losses import match_stages

Sizes = tuple[tuple[int, int], ...]  # (H, W) of the stages of a network, shallow to deep
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class ProbeSelection:
    """How a method has probes choose its teachers, stage by stage: see :func:`selection`."""

    top: int | None
    tau: float


def matched_accuracy(probes: Rows, student: Sizes, teachers: tuple[Sizes, ...]) -> Rows:
    """A_ML: of (teacher, student's stage), from the probes of (teacher, teacher's own stage) and the matching of stages."""
    matches = [match_stages(student, sizes) for sizes in teachers]
    return tuple(tuple(row[stage] for stage in matched) for row, matched in zip(probes, matches, strict=True))


def selection(accuracy_ML: Rows, top: int | None, tau: float) -> Rows:
    """π_ML; every column (a stage of the student) sums to 1. Of equally accurate teachers the earlier one is better.

    ``top`` None, or larger than M, restricts nothing; τ = ∞ weighs those that are left equally.
    """
    columns = [_select(accuracy_M, top, tau) for accuracy_M in zip(*accuracy_ML, strict=True)]
    return tuple(zip(*columns, strict=True))


def uniform_selection(teachers: int, stages: int) -> Rows:
    """π_ML where no probe has a say."""
    return ((1 / teachers,) * stages,) * teachers


def _select(accuracy_M: tuple[float, ...], top: int | None, tau: float) -> list[float]:
    best_first = sorted(range(len(accuracy_M)), key=lambda teacher: -accuracy_M[teacher])
    chosen = best_first[:top]
    # relative to the best, so that a small τ does not overflow
    raw = {teacher: math.exp((accuracy_M[teacher] - accuracy_M[best_first[0]]) / tau) for teacher in chosen}
    total = sum(raw.values())
    return [raw.get(teacher, 0.0) / total for teacher in range(len(accuracy_M))]
