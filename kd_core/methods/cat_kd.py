"""CAT-KD, class attention transfer (Guo et al. 2023, arXiv 2304.12777): where a network sees each class.

    A_k = Σ_c W_kc · F_c, the class activation maps of the last feature map F under the classifier W (without its bias)
    L = ce · CE + β · (1/M) Σ_t mean over x, k and p of (pool A_s − pool A_t)²

Both are pooled to ``resolution``²; ``normalise`` divides each map by its L2 norm after that. ``ce: 0`` is CAT, transfer without
labels, whose published weight is 400 with ``normalise``; 15 without is that of CAT-KD's resnet32x4 → resnet8x4, and the weight
varies by pair. The public networks have no bias in their classifiers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import label_loss, pooled
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

if TYPE_CHECKING:
    from torch import Tensor


def class_maps_BKHW(features_BCHW: Tensor, weight_KC: Tensor) -> Tensor:
    """A."""
    return torch.einsum("kc,bchw->bkhw", weight_KC, features_BCHW)


class CATKD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(15.0, "weight of the class attention loss", low=0, search=LogUniform(0.5, 500))
        resolution: int = knob(2, "height and width to which the maps are pooled", low=1)
        normalise: bool = knob(False, "whether each map is divided by its L2 norm")

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES, Need.HEADS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        own_BKP = self._maps_BKP(student, student.head)
        pairs = zip(teachers, self.setting.heads, strict=True)
        distances = [F.mse_loss(own_BKP, self._maps_BKP(teacher, head)) for teacher, head in pairs]
        terms = {"attention": self.config.beta * torch.stack(distances).mean()}
        if self.config.ce > 0:
            terms["ce"] = self.config.ce * label_loss(student.logits_BK, batch)
        return Loss(terms)

    def _maps_BKP(self, knowledge: Knowledge, head: Any) -> Tensor:
        """Pooled maps, flattened; the classifier is linear, so what is pooled is the features."""
        side = self.config.resolution
        maps_BKP = class_maps_BKHW(pooled(knowledge.pooled_BCHW, (side, side)), head.weight).flatten(2)
        return F.normalize(maps_BKP, dim=2) if self.config.normalise else maps_BKP
