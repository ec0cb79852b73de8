"""RLD, refined logit distillation (Sun et al. 2024, arXiv 2408.07703): what a wrong teacher says is corrected by the label.

    b_s = (σ(z_s/T')_y, the rest), b_t = (σ(z_t/T')_m, the rest), m the class that the teacher holds most likely
    S = {k: z_t,k < z_t,y}, the classes that the teacher holds less likely than the label
    L = ce · CE + ramp · (1/M) Σ_t (α · T'² KL(b_t ‖ b_s) + β · KL_T over S of (z_t ‖ z_s))

The student learns from the first how sure to be, of the label and not of what the teacher takes for it; from the second how
the classes below the label relate. ramp = min(1, (epoch + 1) / warmup), epochs counted from 0. Defaults are the public code's;
there β and T vary by pair, as those of DKD do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import kl_divergence, label_loss, risen
from kd_core.methods.dkd import LOW, binary_B2
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss


class RLD(Method):
    exempt: ClassVar[Mapping[str, str]] = {"least at the teacher": "it corrects the teacher by the label"}

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the sample's confidence", low=0, search=Uniform(0, 4))
        beta: float = knob(8.0, "weight of the classes below the label", low=0, search=LogUniform(0.5, 16))
        confidence_temperature: float = knob(1.0, "T' of the confidence", above=0, search=LogUniform(0.5, 8))
        temperature: float = knob(4.0, "T of the classes below the label", above=0, search=LogUniform(1, 16))
        warmup: int = knob(20, "epochs over which both rise to their weight", low=0)

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config, labels_B = self.config, batch.labels_B
        ramp = risen(batch.epoch, config.warmup)
        heat = config.confidence_temperature
        own_B2 = binary_B2(student.logits_BK / heat, labels_B)
        confidences, others = [], []
        for teacher in teachers:
            said_B2 = binary_B2(teacher.logits_BK / heat, teacher.logits_BK.argmax(1))
            confidences.append(heat**2 * kl_divergence(said_B2, own_B2, 1.0))
            kept_BK = teacher.logits_BK < teacher.logits_BK.gather(1, labels_B[:, None])
            said_BK, own_BK = (each.logits_BK.masked_fill(~kept_BK, LOW) for each in (teacher, student))
            others.append(kl_divergence(said_BK, own_BK, config.temperature))
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "confidence": ramp * config.alpha * torch.stack(confidences).mean(),
                "other": ramp * config.beta * torch.stack(others).mean(),
            }
        )
