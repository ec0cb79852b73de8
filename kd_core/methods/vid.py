"""VID, variational information distillation (Ahn et al. 2019, arXiv 1904.05835; weight as in Tian et al. 2020).

Maximises a lower bound of the mutual information between the stages of teacher and student, with a Gaussian of mean μ_l(F_s)
(1×1 convolutions) and a learned variance of every channel, σ²_c = ln(1 + exp α_c) + 1e-5, which starts at 5:

    L = ce · CE + β · (1/M) Σ_t Σ_l mean over x, c and p of ((μ_l(F_s) − F_t)² / σ²_c + ln σ²_c) / 2
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import nn
from kd_core.losses import MATCHINGS, label_loss, match_stages
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting


class VID(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(1.0, "weight of the variational bound", low=0, search=LogUniform(0.05, 20))

        stages: str = knob("size", "stages learn from those of their size, or of their place", choices=MATCHINGS, later=True)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher
        from kd_core.methods.modules.variational import Gaussian

        self.matches = [match_stages(setting.student.sizes, teacher.sizes, config.stages) for teacher in setting.teachers]
        self.own = by_teacher(
            nn.ModuleList(
                Gaussian(stage[0], teacher.stages[match][0])
                for stage, match in zip(setting.student.stages, matches, strict=False)  # by order there may be fewer
            )
            for teacher, matches in zip(setting.teachers, self.matches, strict=True)
        )

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        total = student.logits_BK.new_zeros(())
        for teacher, matches, gaussians in zip(teachers, self.matches, self.own.children(), strict=True):
            for features_BCHW, match, gaussian in zip(student.features, matches, gaussians.children(), strict=False):
                total = total + gaussian(features_BCHW, teacher.features[match])
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "variational": self.config.beta * total / len(teachers),
            }
        )
