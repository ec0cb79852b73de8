"""KD, knowledge distillation (Hinton et al. 2015, arXiv 1503.02531, section 2; weights as in Tian et al. 2020).

L = ce · CE + α · (1/M) Σ_t KL_T(z_t ‖ z_s)
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.losses import divergences_MB, label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss


class KD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(0.1, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(0.9, "weight of the divergence from the teachers", low=0, search=Uniform(0.1, 2))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    @staticmethod
    def softened(config: Config) -> float | None:
        return config.temperature

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        divergence = divergences_MB(teachers, student, config.temperature).mean()
        return Loss({"ce": config.ce * label_loss(student.logits_BK, batch), "kl": config.alpha * divergence})
