"""FSP, the flow of the solution procedure (Yim et al. 2017, "A gift from knowledge distillation", CVPR).

Between neighbouring stages l and l + 1 of a network, at the smaller of their two sizes, with P positions:

    G_l[i, j] = 1/P · Σ_p F_l[i, p] · F_{l+1}[j, p]
    while e / E < init:  L = β · (1/M) Σ_t Σ_l mean over x, i and j of (G_{s,l} − G_{t,l})²
    then:                L = ce · CE

The student's stages learn the flow first, and its classifier, which has not moved, the labels with them after that. ``init`` is
the 30 of 270 epochs of Tian et al. 2020 (arXiv 1910.10699), where this is a training of its own, whose momenta are forgotten
then. Ours: stages of unequal widths, which the paper does not compare, are brought to the teacher's by 1×1 convolutions; and
the stem, with which public code begins, is none of a network's stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import at_common_size, label_loss, match_stages, need_neighbours, paired
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting
from kd_core.methods.spans import INIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def flow_BCD(shallow_BCHW: Tensor, deep_BDHW: Tensor) -> Tensor:
    """G of two stages: the mean over positions of the products of their channels."""
    shallow_BCHW, deep_BDHW = at_common_size(shallow_BCHW, deep_BDHW)
    return shallow_BCHW.flatten(2) @ deep_BDHW.flatten(2).transpose(1, 2) / shallow_BCHW[0, 0].numel()


def flows(features: Sequence[Tensor]) -> list[Tensor]:
    """G of all neighbours."""
    return [flow_BCD(shallow_BCHW, deep_BDHW) for shallow_BCHW, deep_BDHW in pairwise(features)]


class FSP(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(1.0, "weight of the flow, while it is learnt", above=0, search=LogUniform(0.1, 100))
        init: float = knob(INIT, "share of the training in which the flow is learnt, and no label", above=0, below=1)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        """As of every method.

        Raises:
            ValueError: of a student with one stage, which has no neighbours.
        """
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import to_widths

        need_neighbours("fsp", setting.student)
        self.matches = [match_stages(setting.student.sizes, teacher.sizes) for teacher in setting.teachers]
        self.own = self.adapters = to_widths(setting.student, setting.teachers, self.matches)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    def listens(self, progress: float) -> bool:
        return progress < self.config.init

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        if not self.listens(progress):
            return Loss({"ce": self.config.ce * label_loss(student.logits_BK, batch)})
        distances = []
        for pairs in paired(self.adapters, self.matches, student.features, [teacher.features for teacher in teachers]):
            own, targets = zip(*pairs, strict=True)
            both = zip(flows(own), flows(targets), strict=True)
            distances.append(torch.stack([(own_BCD - target_BCD).square().mean() for own_BCD, target_BCD in both]).sum())
        return Loss({"flow": self.config.beta * torch.stack(distances).mean()})
