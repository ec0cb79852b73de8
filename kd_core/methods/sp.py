"""SP, similarity-preserving distillation (Tung & Mori 2019, arXiv 1907.09682; weight as in Tian et al. 2020).

G = F · Fᵀ with every row divided by its L2 norm (B × B), F the last stage's features, flattened per sample
L = ce · CE + β · (1/M) Σ_t ‖G_s − G_t‖² / B²
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need, Side
from kd_core.lazy import F, torch
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

if TYPE_CHECKING:
    from torch import Tensor


def similarity_BB(features: Tensor) -> Tensor:
    """G: how alike the network finds two samples, by their maps BCHW or tokens BPD; rows of norm 1."""
    flat_BD = features.flatten(1)
    return F.normalize(flat_BD @ flat_BD.T, dim=1)


class SP(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(3000.0, "weight of the similarity loss", low=0, search=LogUniform(30, 30_000))

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    @classmethod
    def maps(cls, config: Config) -> frozenset[Side]:
        return frozenset()  # tokens are as flat as maps

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        student_BB = similarity_BB(student.features[-1])
        distances = [(student_BB - similarity_BB(teacher.features[-1])).square().mean() for teacher in teachers]
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "similarity": self.config.beta * torch.stack(distances).mean(),
            }
        )
