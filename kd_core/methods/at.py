"""AT, attention transfer (Zagoruyko & Komodakis 2017, arXiv 1612.03928, eq. 2; weight as in Tian et al. 2020).

    L = ce · CE + β · (1/M) Σ_t Σ_l mean over x and p of (Q_{s,l} − Q_{t,l})²

Q_l is the stage's feature map squared, averaged over channels, flattened, divided by its L2 norm. The mean over
the P positions of such a map falls as 1 / P: β = 1000 is made for 32 × 32 images; 8 × 8 ones want a sixteenth of it or less.
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.losses import BY_SIZE, MATCHINGS, attention_distance, label_loss, match_stages
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting


class AT(Method):
    version = 2  # 1 squared maps of unequal sizes before it pooled them

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(1000.0, "weight of the attention loss", low=0, search=LogUniform(10, 10_000))

        stages: str = knob("size", "stages learn from those of their size, or of their place", choices=MATCHINGS, later=True)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        self.matches = [match_stages(setting.student.sizes, teacher.sizes, config.stages) for teacher in setting.teachers]

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.ATTENTION if config.stages == BY_SIZE else Need.FEATURES})  # maps are kept at their own size

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        distance = student.logits_BK.new_zeros(())
        for teacher, matches in zip(teachers, self.matches, strict=True):
            for stage, match in enumerate(matches):
                distance = distance + attention_distance(student, stage, teacher, match)
        attention = self.config.beta * distance / len(teachers)
        return Loss({"ce": self.config.ce * label_loss(student.logits_BK, batch), "attention": attention})
