"""OFA-KD, one for all (Hao et al. 2023, arXiv 2310.19444): between networks of different kinds, in the space of the logits.

Every stage of the student gets an exit of its own, which gives logits z_l and is dropped after training. With p = σ(z/T), y the
label and 1_y its indicator:

    ofa(z_t, z) = −Σ_k ((p_t,k + 1_y,k)^ε − 1_y,k) · ln p_k
    L = ce · CE + kl · (1/M) Σ_t ofa(z_t, z_s) + β · (1/M) Σ_t Σ_l ofa(z_t, z_l)

ε > 1 makes more of a teacher that knows the label. Weights 1, T = 1 and ε = 1 are the public code's defaults; ε up to 1.5 is
tuned by pair. An exit halves its stage's map with separable convolutions as often as the stages after it would, pools it and
reads it by a linear layer. Of tokens (of a transformer) it merges patches two by two until at most 7 × 7 are left, has as many
transformer blocks as stages follow, one at least, and reads the class token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor


def enhanced_loss(target_BK: Tensor, logits_BK: Tensor, labels_B: Tensor, exponent: float, temperature: float) -> Tensor:
    """The batch mean of ofa."""
    label_BK = F.one_hot(labels_B, logits_BK.shape[1])
    weight_BK = (torch.softmax(target_BK / temperature, 1) + label_BK) ** exponent - label_BK
    return -(weight_BK * F.log_softmax(logits_BK / temperature, 1)).sum(1).mean()


class OFAKD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        kl: float = knob(1.0, "weight of what the student's own logits learn", above=0, search=Uniform(0.1, 4))
        beta: float = knob(1.0, "weight of what the exits learn", above=0, search=LogUniform(0.1, 10))
        exponent: float = knob(1.0, "ε: above 1, teachers that know the label count more", low=1, high=4, search=Uniform(1, 2))
        temperature: float = knob(1.0, "softens both distributions", above=0, search=LogUniform(0.5, 8))

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.exits import Exits

        student = setting.student
        widest = max(student.embedding, *(teacher.embedding for teacher in setting.teachers), 0)
        self.own = Exits(student.stages, widest, student.classes)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        exits = self.own(student.features)

        def learnt(logits_BK: Tensor) -> Tensor:
            losses = [
                enhanced_loss(teacher.logits_BK, logits_BK, batch.labels_B, config.exponent, config.temperature)
                for teacher in teachers
            ]
            return torch.stack(losses).mean()

        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "kl": config.kl * learnt(student.logits_BK),
                "exits": config.beta * torch.stack([learnt(logits_BK) for logits_BK in exits]).sum(),
            }
        )
