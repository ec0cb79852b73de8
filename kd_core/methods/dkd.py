"""DKD, decoupled knowledge distillation (Zhao et al. 2022, arXiv 2203.08679).

    b = (σ(z/T)_y, 1 − σ(z/T)_y), the label against all other classes
    ẑ = z without the label's entry
    L = ce · CE + ramp · (1/M) Σ_t (α · T² KL(b_t ‖ b_s) + β · KL_T(ẑ_t ‖ ẑ_s))

ramp = min(1, (epoch + 1) / warmup), epochs counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import kl_divergence, label_loss, risen
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

if TYPE_CHECKING:
    from torch import Tensor

LOW = -1e4  # a logit whose class has no probability: its log-ratio is finite, so that 0 · log 0 is 0


def others_BK(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """ẑ, in place: the label's logit is so low that the class has no probability."""
    return logits_BK.masked_fill(F.one_hot(labels_B, logits_BK.shape[1]).bool(), LOW)


def binary_B2(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Two logits whose softmax is b at T = 1: the label's, and the log-sum-exp of the others'."""
    label_B1 = logits_BK.gather(1, labels_B[:, None])
    return torch.cat([label_B1, others_BK(logits_BK, labels_B).logsumexp(1, keepdim=True)], 1)


def target_divergence(target_BK: Tensor, logits_BK: Tensor, labels_B: Tensor, temperature: float) -> Tensor:
    """TCKD: T² KL(b_t ‖ b_s), the batch mean."""
    target_B2, logits_B2 = (binary_B2(each_BK / temperature, labels_B) for each_BK in (target_BK, logits_BK))
    return temperature**2 * kl_divergence(target_B2, logits_B2, 1.0)


def other_divergence(target_BK: Tensor, logits_BK: Tensor, labels_B: Tensor, temperature: float) -> Tensor:
    """NCKD: KL_T over the classes other than the label, the batch mean."""
    return kl_divergence(others_BK(target_BK, labels_B), others_BK(logits_BK, labels_B), temperature)


class DKD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the label's share", low=0, search=Uniform(0, 4))
        beta: float = knob(8.0, "weight of the other classes' divergence", low=0, search=LogUniform(0.5, 16))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        warmup: int = knob(20, "epochs over which both rise to their weight", low=0)

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config, heat, labels_B = self.config, self.config.temperature, batch.labels_B
        ramp = risen(batch.epoch, config.warmup)
        pairs = [(teacher.logits_BK, student.logits_BK) for teacher in teachers]
        target = torch.stack([target_divergence(*pair, labels_B, heat) for pair in pairs]).mean()
        other = torch.stack([other_divergence(*pair, labels_B, heat) for pair in pairs]).mean()
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "target": ramp * config.alpha * target,
                "other": ramp * config.beta * other,
            }
        )
