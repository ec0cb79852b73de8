"""AB, activation boundaries (Heo et al. 2019, arXiv 1811.03233, eq. 6; weights as in Tian et al. 2020, arXiv 1910.10699).

Which neurons fire is taught, and not how much. Of a stage before its last activation, s = r(F_s) the student's, brought to the
teacher's width by a 1×1 convolution where they differ, and t the teacher's, with the margin μ:

    ρ(s, t) = (s + μ)² where t ≤ 0 and s > −μ;  (s − μ)² where t > 0 and s ≤ μ;  else 0
    while e / E < init:  L = β · (1/M) Σ_t Σ_l 2^(l − L) · 3/1000 · mean over x of Σ over c and p of ρ      (l = 1 … L)
    then:                L = ce · CE

So the student's stages learn the boundaries first, and its classifier, which has not moved, the labels with them after that.
``init`` is the 30 of 270 epochs of Tian et al., where this is a training of its own, whose momenta are then forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import at_common_size, label_loss, match_stages, paired
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting
from kd_core.methods.spans import INIT

if TYPE_CHECKING:
    from torch import Tensor

SCALE = 3 / 1000  # public code's


def crossing(student_BCHW: Tensor, teacher_BCHW: Tensor, margin: float) -> Tensor:
    """ρ of every neuron: how far the student's is from the side that the teacher's is on, and ``margin`` into it, squared."""
    side_BCHW = torch.where(teacher_BCHW > 0, 1.0, -1.0)
    return (margin - side_BCHW * student_BCHW).clamp(min=0).square()


class AB(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(1.0, "weight of the boundaries, while they are learnt", above=0, search=LogUniform(0.1, 10))
        margin: float = knob(1.0, "how far beyond its boundary a neuron is to be", low=0, search=Uniform(0, 2))
        init: float = knob(INIT, "share of the training in which boundaries are learnt, and no label", above=0, below=1)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import to_widths

        self.matches = [match_stages(setting.student.sizes, teacher.sizes) for teacher in setting.teachers]
        self.own = self.adapters = to_widths(setting.student, setting.teachers, self.matches)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES, Need.BEFORE})

    def listens(self, progress: float) -> bool:
        return progress < self.config.init

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        if not self.listens(progress):
            return Loss({"ce": self.config.ce * label_loss(student.logits_BK, batch)})
        total = student.logits_BK.new_zeros(())
        deepest = student.stages - 1
        for pairs in paired(self.adapters, self.matches, student.before, [teacher.before for teacher in teachers]):
            for stage, pair in enumerate(pairs):
                own_BCHW, target_BCHW = at_common_size(*pair)
                crossed_B = crossing(own_BCHW, target_BCHW, self.config.margin).flatten(1).sum(1)
                total = total + 2.0 ** (stage - deepest) * SCALE * crossed_B.mean()
        return Loss({"boundaries": self.config.beta * total / len(teachers)})
