"""SimKD, distillation with the reused teacher classifier (Chen et al. 2022, arXiv 2203.14001).

    L = β · (1/M) Σ_t mean over x and d of (pool P_t(F_s) − e_t)²
    prediction = mean over teachers of W_t(pool P_t(F_s))

F_s is the student's last feature map, e_t the teacher's pooled embedding, W_t its frozen classifier and P_t a projector (1×1,
3×3 and 1×1 convolutions, the inner width the teacher's divided by ``reduction``) that stays with the student, whose own neck
and classifier are not used. There is no loss of the labels. Ours: the distance is taken after pooling, so that the classifier
reads what it was trained on, also of networks that normalise between the last stage and the pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import IntUniform, Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need, Side
from kd_core.lazy import F, torch
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor


class SimKD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        beta: float = knob(1.0, "weight of the feature loss", above=0, search=LogUniform(0.1, 100))
        reduction: int = knob(2, "the projector's inner width is the teacher's divided by it", low=1, search=IntUniform(1, 8))

    version = 2
    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import bottleneck, by_teacher

        inputs = setting.student.stages[-1][0]
        self.own = by_teacher(bottleneck(inputs, teacher.embedding, config.reduction) for teacher in setting.teachers)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.EMBEDDING, Need.HEADS})

    @classmethod
    def maps(cls, config: Config) -> frozenset[Side]:
        return frozenset({Side.STUDENT})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        pairs = zip(self._projected(student), teachers, strict=True)
        distances = [F.mse_loss(projected_BD, teacher.embedding_BD) for projected_BD, teacher in pairs]
        return Loss({"feature": self.config.beta * torch.stack(distances).mean()})

    def predict(self, student: Knowledge) -> Tensor:
        heads = zip(self.setting.heads, self._projected(student), strict=True)
        return torch.stack([head(projected_BD) for head, projected_BD in heads]).mean(0)

    def _projected(self, student: Knowledge) -> list[Tensor]:
        return [projector(student.features[-1]).mean((2, 3)) for projector in self.own.children()]
