"""EBKD, entropy-based weights (Kwon et al. 2020, ICASSP): sure teachers lead.

    H_t(x) = entropy of σ(z_t), at temperature 1
    w_t(x) = (1 − H_t / Σ_t' H_t') / (M − 1)
    L = ce · CE + α · mean over x of Σ_t w_t(x) · KL_T(z_t ‖ z_s)

The public code leaves out the division by M − 1, so that its weights sum to M − 1, and divides by M: ``reference_scale``
gives its (M − 1) / M times smaller term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import divergences_MB, label_loss, opposed_MB, teacher_means
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

if TYPE_CHECKING:
    from torch import Tensor


def entropy_B(logits_BK: Tensor) -> Tensor:
    """Entropy of σ(z), in nats."""
    log_BK = F.log_softmax(logits_BK, dim=1)
    return -(log_BK.exp() * log_BK).sum(1)


class EBKD(Method):
    version = 2  # 1 added 1e-8 nats to every entropy, which is much where logits are around 100

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the divergence from the teachers", low=0, search=Uniform(0.1, 4))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        reference_scale: bool = knob(False, "the public code's scale: (M - 1) / M of the formula's")

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        entropy_MB = torch.stack([entropy_B(teacher.logits_BK) for teacher in teachers])
        total_B = entropy_MB.sum(0)
        share_MB = torch.where(total_B > 0, entropy_MB / total_B, 1 / len(teachers))  # of all certain ones: the same
        weight_MB = opposed_MB(share_MB)
        divergence = (weight_MB * divergences_MB(teachers, student, config.temperature)).sum(0).mean()
        if config.reference_scale:
            divergence = divergence * (len(teachers) - 1) / len(teachers)
        terms = {"ce": config.ce * label_loss(student.logits_BK, batch), "kl": config.alpha * divergence}
        return Loss(terms, teacher_means("weight", weight_MB))
