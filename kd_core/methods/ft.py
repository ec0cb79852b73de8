"""FT, factor transfer (Kim et al. 2018, "Paraphrasing complex network", arXiv 1802.04977).

A paraphraser P, an autoencoder of convolutions with the decoder P', finds the factors of a teacher's last feature map F_t, k
times as many channels as it has; then a translator S makes as many of the student's last map F_s:

    while e / E < init:  L = paraphrase · (1/M) Σ_t mean of (P'_t(P_t(F_t)) − F_t)²
    then:                L = ce · CE + β · (1/M) Σ_t mean of |q(S_t(F_s)) − q(P_t(F_t))|

    factor whole   q flattens a factor and divides it by its L2 norm
    factor map     the same of its attention map, the squares averaged over channels (Tian et al. 2020, arXiv 1910.10699)

While the paraphrasers learn, the student does not, and they are frozen when it begins: ``init`` is the 30 of 270 epochs of
Tian et al., where that is a training of its own (with a fifth of the learning rate for residual networks, which ``paraphrase``
stands for). The weight 500 is the authors' code's, for 32 × 32 images (the mean over the n numbers of a factor of norm 1 falls
as 1 / √n); that of Tian et al. is 200, of maps. The layers of both, and that the translator alone normalises, are as in Tian
et al.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, nn, torch
from kd_core.losses import at_common_size, label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting
from kd_core.methods.spans import INIT

if TYPE_CHECKING:
    from torch import Tensor

WHOLE, MAP = FACTORS = ("whole", "map")


def compared(factor_BCHW: Tensor, factor: str) -> Tensor:
    """q of a factor: B rows of L2 norm 1."""
    kept = factor_BCHW if factor == WHOLE else factor_BCHW.square().mean(1)
    return F.normalize(kept.flatten(1), dim=1)


class FT(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(500.0, "weight of the factors", low=0, search=LogUniform(10, 2000))
        rate: float = knob(0.5, "k, channels of a factor for one of the teacher's", above=0, high=1, search=Uniform(0.25, 1))
        factor: str = knob(WHOLE, "what of a factor is learnt; map: its attention map", choices=FACTORS)
        paraphrase: float = knob(0.2, "weight of the paraphrasers' reconstruction, while they learn", above=0)
        init: float = knob(INIT, "share of the training in which paraphrasers learn; 0 leaves them as drawn", low=0, below=1)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher
        from kd_core.methods.modules.factors import paraphraser, translator

        width = setting.student.stages[-1][0]
        widths = [(teacher.stages[-1][0], max(int(config.rate * teacher.stages[-1][0]), 1)) for teacher in setting.teachers]
        paraphrasers = [paraphraser(channels, factors) for channels, factors in widths]
        self.paraphrasers = by_teacher(paraphrasers)
        self.encoders = [each.encode for each in paraphrasers]
        self.translators = by_teacher(translator(width, factors) for _, factors in widths)
        self.own = nn.ModuleDict({"paraphrasers": self.paraphrasers, "translators": self.translators})

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    def trainable(self) -> Iterator[nn.Parameter]:
        paraphrasers = self.paraphrasers.parameters() if self.config.init > 0 else ()
        return chain(paraphrasers, self.translators.parameters())

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        lasts = [teacher.features[-1] for teacher in teachers]
        if progress < config.init:
            pairs = zip(self.paraphrasers.children(), lasts, strict=True)
            losses = [F.mse_loss(paraphrase(last_BCHW), last_BCHW) for paraphrase, last_BCHW in pairs]
            return Loss({"reconstruction": config.paraphrase * torch.stack(losses).mean()})
        distances = []
        for last_BCHW, encode, translate in zip(lasts, self.encoders, self.translators.children(), strict=True):
            with torch.no_grad():
                target_BCHW = encode(last_BCHW)
            own_BCHW, target_BCHW = at_common_size(translate(student.features[-1]), target_BCHW)
            distances.append((compared(own_BCHW, config.factor) - compared(target_BCHW, config.factor)).abs().mean())
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "factor": config.beta * torch.stack(distances).mean(),
            }
        )
