"""MINE (Author et al. 2027, arXiv 0000.00000, eq. 1).

L = ce · CE + β · (1/M) Σ_t mean over x of ‖r_t(h_s)/‖r_t(h_s)‖ − h_t/‖h_t‖‖²

h is the embedding and r_t a linear map to the teacher's, trained with the student.
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, nn, torch
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting


class Mine(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(1.0, "weight of the embedding loss", low=0, search=LogUniform(0.1, 100))

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        width = setting.student.embedding
        self.own = nn.ModuleList(nn.Linear(width, teacher.embedding, bias=False) for teacher in setting.teachers)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.EMBEDDING})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        distances = []
        for teacher, adapter in zip(teachers, self.own.children(), strict=True):
            own_BD = F.normalize(adapter(student.embedding_BD), dim=1)
            distances.append((own_BD - F.normalize(teacher.embedding_BD, dim=1)).square().sum(1).mean())
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "hint": self.config.beta * torch.stack(distances).mean(),
            }
        )


METHODS = {"mine": Mine}
