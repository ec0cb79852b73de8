"""AFDS, attentive feature distillation: "Pay attention to features, transfer learn faster CNNs" (Wang et al. 2020, ICLR).

Of each stage the teacher says which of its channels count. With F̂ a channel's map divided by its L2 norm over positions, h_t
the teacher's maps averaged over positions, and φ two linear layers with a ReLU between, which are learnt:

    ρ = φ(h_t), made to sum to 1 over channels
    L = ce · CE + β · (1/M) Σ_t 1/L Σ_l mean over x of Σ_c ρ_c · mean over p of (F̂_{s,c} − F̂_{t,c})²

    attention sigmoid   sigmoids of φ, divided by their sum, which public code of it found steadier (and has the weight 500)
    attention softmax   the softmax of φ, as in the paper

The paper also removes channels of the student (its "selection"), which is no part of this. It is what Shao & Chen 2021 (MGD)
call AFD; :mod:`kd_core.methods.afd` is another method of that name. The mean over the P positions of what has norm 1 falls as
1 / P: the weight is made for 32 × 32 images, and 8 × 8 ones want a sixteenth of it. Ours: stages of unequal widths are brought
to the teacher's by 1×1 convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, nn, torch
from kd_core.losses import at_common_size, label_loss, match_stages, paired
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

SIGMOID, SOFTMAX = ATTENTIONS = ("sigmoid", "softmax")


def channel_distance_BC(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """The mean over positions of (F̂_s − F̂_t)²."""
    student_BCP, teacher_BCP = (F.normalize(each.flatten(2), dim=2, eps=1e-6) for each in (student_BCHW, teacher_BCHW))
    return (student_BCP - teacher_BCP).square().mean(2)


def shares_BC(asked_BC: Tensor, attention: str) -> Tensor:
    """ρ of φ(h_t)."""
    if attention == SOFTMAX:
        return asked_BC.softmax(1)
    open_BC = asked_BC.sigmoid()
    return open_BC / open_BC.sum(1, keepdim=True)


class AFDS(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(500.0, "weight of the attended features", low=0, search=LogUniform(1, 5000))
        attention: str = knob(SIGMOID, "how a teacher's channels share the attention", choices=ATTENTIONS)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher, to_widths

        self.matches = [match_stages(setting.student.sizes, teacher.sizes) for teacher in setting.teachers]
        self.adapters = to_widths(setting.student, setting.teachers, self.matches)
        self.attentions = by_teacher(
            nn.ModuleList(_attention(teacher.stages[match][0]) for match in matches)
            for teacher, matches in zip(setting.teachers, self.matches, strict=True)
        )
        self.own = nn.ModuleDict({"adapters": self.adapters, "attentions": self.attentions})

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        distances = []
        pairs_by_teacher = paired(self.adapters, self.matches, student.features, [teacher.features for teacher in teachers])
        for pairs, attentions in zip(pairs_by_teacher, self.attentions.children(), strict=True):
            for pair, attend in zip(pairs, attentions.children(), strict=True):
                own_BCHW, target_BCHW = at_common_size(*pair)
                share_BC = shares_BC(attend(target_BCHW.mean((2, 3))), self.config.attention)
                distances.append((share_BC * channel_distance_BC(own_BCHW, target_BCHW)).sum(1).mean())
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "features": self.config.beta * torch.stack(distances).mean(),
            }
        )


def _attention(channels: int) -> nn.Module:
    """φ."""
    first, second = nn.Linear(channels, channels), nn.Linear(channels, channels)
    for layer in (first, second):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.ReLU(), second)
