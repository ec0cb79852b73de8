"""DIST, distillation from a stronger teacher (Huang et al. 2022, arXiv 2205.10536).

    p = σ(z / T), a matrix of samples and classes; ρ the Pearson correlation
    L = ce · CE + (1/M) Σ_t (β · T² · mean over samples of (1 − ρ(p_s, p_t) over classes)
                           + γ · T² · mean over classes of (1 − ρ(p_s, p_t) over samples))

T² is the public code's factor: it keeps the weights when T changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

if TYPE_CHECKING:
    from torch import Tensor


EPSILON = 1e-8


def dissimilarity(one: Tensor, other: Tensor, dim: int) -> Tensor:
    """1 − the Pearson correlation along ``dim``, its mean over the rest. What does not vary correlates with nothing: 1.

    The epsilon is added to the product of the two norms, as in the public code: networks that are very sure of the same
    class, whose probabilities vary by less, pull less at each other.
    """
    one, other = one - one.mean(dim, keepdim=True), other - other.mean(dim, keepdim=True)
    correlation: Tensor = (one * other).sum(dim) / (one.norm(dim=dim) * other.norm(dim=dim) + EPSILON)
    return 1 - correlation.mean()


class DIST(Method):
    version = 2  # 1 bounded each norm from below in place of adding an epsilon to their product

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(2.0, "weight of the relation between classes", low=0, search=LogUniform(0.1, 10))
        gamma: float = knob(2.0, "weight of the relation between samples", low=0, search=LogUniform(0.1, 10))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config, heat = self.config, self.config.temperature
        student_BK = torch.softmax(student.logits_BK / heat, 1)
        teachers_BK = [torch.softmax(teacher.logits_BK / heat, 1) for teacher in teachers]
        inter = torch.stack([dissimilarity(student_BK, teacher_BK, 1) for teacher_BK in teachers_BK]).mean()
        intra = torch.stack([dissimilarity(student_BK, teacher_BK, 0) for teacher_BK in teachers_BK]).mean()
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "inter": config.beta * heat**2 * inter,
                "intra": config.gamma * heat**2 * intra,
            }
        )
