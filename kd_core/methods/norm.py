"""NORM, N-to-one representation matching (Liu et al. 2023, arXiv 2305.13803): the student says the teacher's features N times.

    E_t = BN(U_t F_s), N · C_t channels;  F' = F_s + (1/M) Σ_t BN(V_t E_t);  z' = c · (z − mean z) / (std z + ε)
    L = ce · CE(z'_s, y) + α · T² KL(σ(z'_t/T) ‖ σ(z'_s/T)) + w(e) · β · N · (1/M) Σ_t mean of (E_t − N copies of F_t)²

F_s and F_t are the last feature maps, U and V 1×1 convolutions, and z_s what the student's own classifier says of the mean of
F'. w(e) is 0.1, then from the epochs 10, 20, 180 and 210 of 240 on 0.5, 1, 0.5 and 0.1. The larger of two maps is pooled by
its maximum. U and V stay with the student: behind the pooling they are one linear map before the classifier (the paper merges
it into that one). The public script has no KL term, N = 8, and tries 1/16, 1/8, 1/4 and 1/2 for ce.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Choice, IntUniform, Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import kl_divergence, label_loss, pooled
from kd_core.methods import spans
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-7  # in the variance of the logits, as published


def smaller_BCHW(features_BCHW: Tensor, other_BCHW: Tensor) -> Tensor:
    """The map; where it is larger than the other, its maxima at that size, or its means where that does not divide it."""
    (height, width), (low, wide) = features_BCHW.shape[2:], other_BCHW.shape[2:]
    if height <= low and width <= wide:
        return features_BCHW
    if height % low == 0 and width % wide == 0:
        return F.max_pool2d(features_BCHW, (height // low, width // wide))
    return pooled(features_BCHW, (min(height, low), min(width, wide)))


class NORM(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(0.25, "weight of the cross-entropy with the labels", low=0, search=Choice((0.0625, 0.125, 0.25, 0.5)))
        alpha: float = knob(0.0, "weight of the divergence from the teachers' logits", low=0)
        beta: float = knob(1.0, "weight of the matched features", low=0, search=LogUniform(0.1, 10))
        temperature: float = knob(4.0, "softens both distributions of the divergence", above=0)
        copies: int = knob(8, "N, how often a teacher's features are matched", low=1, search=IntUniform(1, 16))
        scale: float = knob(2.5, "standard deviation that logits are given", above=0)
        factors: tuple[float, ...] = knob((0.1, 0.5, 1.0, 0.5, 0.1), "of beta, one for each span of the training", low=0)
        boundaries: tuple[float, ...] = knob(
            (10 / 240, 20 / 240, 180 / 240, 210 / 240), "where one span ends and the next begins", above=0, below=1
        )

        def conflicts(self) -> list[str]:
            untrained = self.ce == self.alpha == 0
            found = ["`ce` and `alpha` are both 0: nothing would train the classifier"] if untrained else []
            return found + spans.conflicts("factors", self.factors, self.boundaries)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher
        from kd_core.methods.modules.transform import Transform

        width = setting.student.embedding
        self.own = by_teacher(Transform(width, config.copies * teacher.embedding) for teacher in setting.teachers)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES, Need.LOGITS} if config.alpha > 0 else {Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        expanded, moved_BD = self._transformed(student.pooled_BCHW)
        logits_BK = self._scaled(student.head(moved_BD))
        distances = [self._distance(own, teacher.pooled_BCHW) for own, teacher in zip(expanded, teachers, strict=True)]
        factor = spans.value_at(config.factors, config.boundaries, progress)
        terms = {"feature": factor * config.beta * config.copies * torch.stack(distances).mean()}
        if config.ce > 0:
            terms["ce"] = config.ce * label_loss(logits_BK, batch)
        if config.alpha > 0:
            targets = [self._scaled(teacher.logits_BK) for teacher in teachers]
            divergences = [kl_divergence(target_BK, logits_BK, config.temperature) for target_BK in targets]
            terms["kl"] = config.alpha * torch.stack(divergences).mean()
        return Loss(terms)

    def predict(self, student: Knowledge) -> Tensor:
        """In evaluation all behind the feature map is linear, so that its mean is enough."""
        features_BCHW = student.pooled_BCHW if self.own.training else student.embedding_BD[:, :, None, None]
        _, moved_BD = self._transformed(features_BCHW)
        return self._scaled(student.head(moved_BD))

    def _transformed(self, features_BCHW: Tensor) -> tuple[list[Tensor], Tensor]:
        """Every teacher's E, and the mean of F' over positions, BD."""
        pairs = [transform(features_BCHW) for transform in self.own.children()]
        added_BD = torch.stack([contracted.mean((2, 3)) for _, contracted in pairs]).mean(0)
        return [expanded for expanded, _ in pairs], features_BCHW.mean((2, 3)) + added_BD

    def _distance(self, own_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
        target_BCHW = smaller_BCHW(teacher_BCHW, own_BCHW)
        own_BCHW = smaller_BCHW(own_BCHW, teacher_BCHW)
        return F.mse_loss(own_BCHW, target_BCHW.repeat(1, self.config.copies, 1, 1))

    def _scaled(self, logits_BK: Tensor) -> Tensor:
        return self.config.scale * F.layer_norm(logits_BK, logits_BK.shape[1:], eps=EPSILON)
