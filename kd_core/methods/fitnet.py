"""FitNet, hints (Romero et al. 2015, arXiv 1412.6550; one-stage training and weight as in Tian et al. 2020).

    L = ce · CE + β · (1/M) Σ_t mean over x, c and p of (r_t(F_s) − F_t)²

F is the feature map of the middle stage and r_t a 1×1 convolution to the teacher's channels with batch normalisation. The
public code of Tian et al. follows it by a ReLU; ours does not, since stages of wide and pre-activated networks take both signs.
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import at_common_size, label_loss, match_stages
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting


class FitNet(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(100.0, "weight of the hint loss", low=0, search=LogUniform(1, 1000))
        stage: int | None = knob(None, "the student's hinted stage, the shallowest is 0; null: the middle one", low=0)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        """As of every method.

        Raises:
            ValueError: where the student has no such stage.
        """
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher, pointwise

        stages = setting.student.stages
        self.stage = len(stages) // 2 if config.stage is None else config.stage
        if self.stage >= len(stages):
            raise ValueError(f"`stage` must be < {len(stages)}, the number of the student's stages, but got {config.stage}")
        self.matches = [match_stages(setting.student.sizes, teacher.sizes)[self.stage] for teacher in setting.teachers]
        widths = [teacher.stages[match][0] for teacher, match in zip(setting.teachers, self.matches, strict=True)]
        self.own = by_teacher(pointwise(stages[self.stage][0], width) for width in widths)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        distances = []
        for teacher, match, adapter in zip(teachers, self.matches, self.own.children(), strict=True):
            student_BCHW, teacher_BCHW = at_common_size(student.features[self.stage], teacher.features[match])
            distances.append(F.mse_loss(adapter(student_BCHW), teacher_BCHW))
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "hint": self.config.beta * torch.stack(distances).mean(),
            }
        )
