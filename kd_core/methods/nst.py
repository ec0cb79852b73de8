"""NST, neuron selectivity transfer (Huang & Wang 2017, arXiv 1707.01219; weight as in Tian et al. 2020).

The maximum mean discrepancy between the channels of student and teacher, each channel f its spatial pattern of L2 norm 1,
with the polynomial kernel k(f, g) = (f · g)², summed over stages:

    L = ce · CE + β · (1/M) Σ_t Σ_l mean over x of (mean k(s, s') + mean k(t, t') − 2 mean k(s, t))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F
from kd_core.losses import MATCHINGS, at_common_size, label_loss, match_stages
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor


def mean_kernel(one_BCP: Tensor, other_BEP: Tensor) -> Tensor:
    """Mean of k over samples and pairs of channels."""
    return (one_BCP @ other_BEP.transpose(1, 2)).square().mean()


def discrepancy(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """The squared maximum mean discrepancy of one stage; each may have its own number of channels."""
    student_BCP, teacher_BEP = (F.normalize(each.flatten(2), dim=2) for each in at_common_size(student_BCHW, teacher_BCHW))
    own = mean_kernel(student_BCP, student_BCP) + mean_kernel(teacher_BEP, teacher_BEP)
    return own - 2 * mean_kernel(student_BCP, teacher_BEP)


class NST(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(50.0, "weight of the discrepancy", low=0, search=LogUniform(0.5, 500))

        stages: str = knob("size", "stages learn from those of their size, or of their place", choices=MATCHINGS, later=True)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        self.matches = [match_stages(setting.student.sizes, teacher.sizes, config.stages) for teacher in setting.teachers]

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        total = student.logits_BK.new_zeros(())
        for teacher, matches in zip(teachers, self.matches, strict=True):
            for features_BCHW, match in zip(student.features, matches, strict=False):  # by order there may be fewer
                total = total + discrepancy(features_BCHW, teacher.features[match])
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "selectivity": self.config.beta * total / len(teachers),
            }
        )
