"""Logit standardisation (Sun et al. 2024, arXiv 2403.01427): a logit method on z-scores.

    z' = (z − mean over k of z) / (standard deviation over k of z + ε), of student and teachers alike
    L = ce · CE(z, y) + what the base computes of z' in place of z, but for its cross-entropy

The student need not have the teacher's range of logits, only its order and proportions. The base's cross-entropy keeps the raw
logits and its own weight. What the base computes weighs w times as much, since z-scores are small: (T, w) = (2, 9) by default;
the published runs also have (3, 9), (4, 12) and (3, 1), by pair. For kd that is its alpha, for dkd its alpha and its beta
(9 and 72).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kd_core.knobs import knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.losses import label_loss
from kd_core.methods.aekd import AEKD
from kd_core.methods.aver import AVER
from kd_core.methods.ctkd import CTKD
from kd_core.methods.dist import DIST
from kd_core.methods.dkd import DKD
from kd_core.methods.ebkd import EBKD
from kd_core.methods.kd import KD
from kd_core.methods.method import Method
from kd_core.methods.rld import RLD
from kd_core.methods.setting import Loss, Setting
from kd_core.methods.wrapper import Wrapper, Wrapping

if TYPE_CHECKING:
    from torch import Tensor, nn

BASES: dict[str, type[Method]] = {
    "kd": KD,
    "dkd": DKD,
    "dist": DIST,
    "aver": AVER,
    "ebkd": EBKD,
    "aekd": AEKD,
    "ctkd": CTKD,
    "rld": RLD,
}
EPSILON = 1e-7


def standardised_BK(logits_BK: Tensor) -> Tensor:
    """Logits of mean 0 and (unbiased) variance 1 for every sample; all 0 where they do not vary."""
    centred_BK = logits_BK - logits_BK.mean(1, keepdim=True)
    variance_B1 = centred_BK.square().sum(1, keepdim=True) / (logits_BK.shape[1] - 1)
    return centred_BK / (variance_B1 + EPSILON**2).sqrt()


class LogitStd(Wrapper):
    @dataclass(frozen=True)
    class Config(Wrapping):
        bases = BASES
        presets: ClassVar = {name: {"temperature": 2.0} for name in ("dist", "aver", "ebkd", "aekd")} | {
            "ctkd": {"alpha": 9.0},
            "rld": {"temperature": 2.0, "alpha": 9.0, "beta": 72.0},
            "kd": {"temperature": 2.0, "alpha": 9.0},
            "dkd": {"temperature": 2.0, "alpha": 9.0, "beta": 72.0},
        }

        @classmethod
        def takes(cls, method: type[Method]) -> bool:
            """What learns from logits alone, and weighs its cross-entropy by a knob ``ce``."""
            named = {field.name for field in dataclasses.fields(method.Config)}
            return super().takes(method) and "ce" in named and method.needs(method.Config()) <= {Need.LOGITS}

        base: str = knob("kd", "the logit method whose logits are standardised", choices=BASES)

    version = 2  # its own; that of its base stands beside it in a key, and so do the knobs
    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        self.own = self.base.own

    def trainable(self) -> Iterator[nn.Parameter]:
        return self.base.trainable()

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        loss = self.base.forward(scored(student), tuple(map(scored, teachers)), batch, progress)
        return Loss(loss.terms | {"ce": self.config.inner.ce * label_loss(student.logits_BK, batch)}, loss.curves)

    def predict(self, student: Knowledge) -> Tensor:
        return self.base.predict(student)


def scored(knowledge: Knowledge) -> Knowledge:
    """The same, with standardised logits."""
    others = tuple(map(scored, knowledge.others))
    return dataclasses.replace(knowledge, logits_BK=standardised_BK(knowledge.logits_BK), others=others)
