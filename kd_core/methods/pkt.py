"""PKT, probabilistic knowledge transfer (Passalis & Tefas 2018, arXiv 1803.10837; weight as in Tian et al. 2020).

p(i | j) = (1 + cos(e_i, e_j)) / 2, every row divided by its sum, of the pooled embeddings e
L = ce · CE + β · (1/M) Σ_t mean over i and j of p_t · ln((p_t + ε) / (p_s + ε))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-7  # of the public code


def affinities_BB(embedding_BD: Tensor) -> Tensor:
    """p: rows that sum to 1."""
    unit_BD = F.normalize(embedding_BD, dim=1)
    affinity_BB = (1 + unit_BD @ unit_BD.T) / 2
    return affinity_BB / affinity_BB.sum(1, keepdim=True)


class PKT(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(30_000.0, "weight of the divergence of affinities", low=0, search=LogUniform(300, 300_000))

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.EMBEDDING})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        student_BB = affinities_BB(student.embedding_BD)
        divergences = []
        for teacher in teachers:
            teacher_BB = affinities_BB(teacher.embedding_BD)
            divergences.append((teacher_BB * ((teacher_BB + EPSILON) / (student_BB + EPSILON)).log()).mean())
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "affinity": self.config.beta * torch.stack(divergences).mean(),
            }
        )
