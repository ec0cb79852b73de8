"""TTM and WTTM, transformed teacher matching (Zheng & Yang 2024, arXiv 2402.11148).

Only the teacher is softened, by a power transform with exponent γ, which is a temperature of 1 / γ:

    p_t^γ = σ(γ · z_t),   U_γ(x) = Σ_k σ(z_t)_k^γ
    TTM:   L = ce · CE + β · (1/M) Σ_t mean over x of KL(p_t^γ ‖ σ(z_s))
    WTTM:  L = ce · CE + β · (1/M) Σ_t mean over x of U_γ(x) · KL(p_t^γ ‖ σ(z_s))

There is no factor T². U is 1 where the teacher is certain and K^(1 − γ) where it is most uncertain. The public code tunes γ and
β by pair; its examples, which are the defaults, are (0.1, 45) for TTM and (0.2, 4) for WTTM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import kl_divergence_B, label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

if TYPE_CHECKING:
    from torch import Tensor


def power_sum_B(logits_BK: Tensor, exponent: float) -> Tensor:
    """U_γ, of every sample."""
    return (exponent * F.log_softmax(logits_BK, 1)).exp().sum(1)


class TTM(Method):
    exempt: ClassVar[Mapping[str, str]] = {"least at the teacher": "it softens the teacher alone"}

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(45.0, "weight of the divergence from the transformed teachers", low=0, search=LogUniform(1, 100))
        exponent: float = knob(0.1, "γ of the power transform", above=0, high=1, search=LogUniform(0.05, 1))

    config: Any

    @staticmethod
    def needs(config: Any) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        divergences = [self._divergence_B(teacher.logits_BK, student.logits_BK) for teacher in teachers]
        terms = {
            "ce": self.config.ce * label_loss(student.logits_BK, batch),
            "kl": self.config.beta * torch.stack(divergences).mean(),
        }
        return Loss(terms)

    def _divergence_B(self, teacher_BK: Tensor, student_BK: Tensor) -> Tensor:
        return kl_divergence_B(self.config.exponent * teacher_BK, student_BK, 1.0)


class WTTM(TTM):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(4.0, "weight of the divergence from the transformed teachers", low=0, search=LogUniform(0.5, 50))
        exponent: float = knob(0.2, "γ of the power transform", above=0, high=1, search=LogUniform(0.05, 1))

    def _divergence_B(self, teacher_BK: Tensor, student_BK: Tensor) -> Tensor:
        return power_sum_B(teacher_BK, self.config.exponent) * super()._divergence_B(teacher_BK, student_BK)
