"""CC, correlation congruence (Peng et al. 2019, arXiv 1904.01802).

``form: congruence``, the paper's: a Gaussian kernel between the unit embeddings f of every two samples, expanded to order P

    C_ij = exp(−2γ) Σ_{p=0..P} (2γ)^p / p! · (f_i · f_j)^p
    L = ce · CE + β · (1/M) Σ_t ‖C_s − C_t‖² / B²

``form: reference``, what the public code of Tian et al. 2020 computes under this name, and the weight 0.02 belongs to: linear
maps u_s, u_t to ``dimension``, both trained, and the product of the differences of neighbours in the batch

    δ_i = |u_s(e_s,i) − u_t(e_t,i)|
    L = ce · CE + β · (1/M) Σ_t mean over i < B of δ_i · δ_{i+1}
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, nn, torch
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = {"congruence": 100.0, "reference": 0.02}  # the first is ours


def correlation_BB(embedding_BD: Tensor, gamma: float, order: int) -> Tensor:
    """C: the Taylor series of exp(−γ ‖f_i − f_j‖²)."""
    unit_BD = F.normalize(embedding_BD, dim=1)
    cosine_BB = unit_BD @ unit_BD.T
    powers = [(2 * gamma) ** p / math.factorial(p) * cosine_BB**p for p in range(order + 1)]
    return math.exp(-2 * gamma) * torch.stack(powers).sum(0)


def neighbour_product(one_BD: Tensor, other_BD: Tensor) -> Tensor:
    """The mean of δ_i · δ_{i+1}; 0 for a batch of one."""
    delta_BD = (one_BD - other_BD).abs()
    return (delta_BD[:-1] * delta_BD[1:]).sum() / max(len(delta_BD) - 1, 1)


class CC(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        form: str = knob("congruence", "the paper's loss, or that of the public code", choices=tuple(WEIGHTS))
        beta: float | None = knob(None, "weight of the loss; null: 100 for congruence, 0.02 for reference", low=0)
        gamma: float = knob(0.4, "congruence: inverse width of the kernel", above=0, search=LogUniform(0.05, 4))
        order: int = knob(2, "congruence: order of the expansion, P", low=1)
        dimension: int = knob(128, "reference: what the embeddings are mapped to", low=1)

        @property
        def weight(self) -> float:
            return WEIGHTS[self.form] if self.beta is None else self.beta

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        if config.form == "reference":
            from kd_core.methods.modules.adapters import by_teacher

            widths = [(setting.student.embedding, teacher.embedding) for teacher in setting.teachers]
            self.own = by_teacher(nn.ModuleList(nn.Linear(width, config.dimension) for width in pair) for pair in widths)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.EMBEDDING})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        measure = self._congruence if self.config.form == "congruence" else self._reference
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "correlation": self.config.weight * torch.stack(measure(student, teachers)).mean(),
            }
        )

    def _congruence(self, student: Knowledge, teachers: tuple[Knowledge, ...]) -> list[Tensor]:
        gamma, order = self.config.gamma, self.config.order
        student_BB = correlation_BB(student.embedding_BD, gamma, order)
        return [(student_BB - correlation_BB(teacher.embedding_BD, gamma, order)).square().mean() for teacher in teachers]

    def _reference(self, student: Knowledge, teachers: tuple[Knowledge, ...]) -> list[Tensor]:
        products = []
        for teacher, maps in zip(teachers, self.own.children(), strict=True):
            of_student, of_teacher = maps.children()
            products.append(neighbour_product(of_student(student.embedding_BD), of_teacher(teacher.embedding_BD)))
        return products
