"""RKD, relational knowledge distillation (Park et al. 2019, arXiv 1904.05068; weights as in Tian et al. 2020).

Of the pooled embeddings e: ψ(i, j) = ‖e_i − e_j‖ / their mean over pairs, and cos(i, j, k) of the angle at j between i and k.

    L = ce · CE + (1/M) Σ_t (distance · mean over i, j of h(ψ_s, ψ_t) + angle · mean over i, j, k of h(cos_s, cos_t))

h is the Huber loss with δ = 1. The means run over all B² pairs and B³ triples, as in the public code; those of a sample with
itself are zero on both sides.
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


def distances_BB(embedding_BD: Tensor) -> Tensor:
    """ψ: Euclidean distances divided by their mean over pairs of different samples; all 0 for a batch of one."""
    squared_BB = (embedding_BD[:, None] - embedding_BD[None]).square().sum(2)
    different_BB = 1 - torch.eye(len(embedding_BD), device=embedding_BD.device)
    distance_BB = squared_BB.clamp(min=1e-12).sqrt() * different_BB
    return distance_BB / (distance_BB.sum() / different_BB.sum().clamp(min=1)).clamp(min=1e-12)


def cosines_BBB(embedding_BD: Tensor) -> Tensor:
    """[j, i, k]: the cosine of the angle at j between i and k."""
    towards_BBD = F.normalize(embedding_BD[None] - embedding_BD[:, None], dim=2)
    return towards_BBD @ towards_BBD.transpose(1, 2)


class RKD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        distance: float = knob(25.0, "weight of the distances", low=0, search=LogUniform(1, 250))
        angle: float = knob(50.0, "weight of the angles", low=0, search=LogUniform(1, 500))

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.EMBEDDING})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        embeddings = [teacher.embedding_BD for teacher in teachers]
        distance_BB, cosine_BBB = distances_BB(student.embedding_BD), cosines_BBB(student.embedding_BD)
        distance = torch.stack([F.smooth_l1_loss(distance_BB, distances_BB(each_BD)) for each_BD in embeddings]).mean()
        angle = torch.stack([F.smooth_l1_loss(cosine_BBB, cosines_BBB(each_BD)) for each_BD in embeddings]).mean()
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "distance": config.distance * distance,
                "angle": config.angle * angle,
            }
        )
