"""WKD, Wasserstein distances for distillation (Lv et al. 2024, NeurIPS, arXiv 2412.08139): of logits and
of features.

WKD-L. What is said of the label is learnt by itself; what is said of the other classes is carried from the student's
probabilities to the teacher's, where it costs more to carry it to a class that the teacher finds unlike:

    c_ij = 1 − exp(−κ · (1 − cos(W_i, W_j))), W the teacher's classifier
    L = ce · CE + (1/M) Σ_t [−mean over x of σ(z_t)_y · ln σ(z_s)_y + fall · β · mean over x of Σ_ij q_ij · c_ij]

q is what Sinkhorn's ``iterations`` at the entropic weight ``blur`` give between both distributions over the classes other than
y, softened by T.

WKD-F. With μ and δ the mean and the deviation of every channel over the positions (of each of ``grid``² cells) of the last
stage, the student's brought to the teacher's channels by a 1×1 convolution with BN and ReLU:

    L = ce · CE + fall · β · (1/M) Σ_t mean over x and cells of (ratio · ‖μ_s − μ_t‖² + ‖δ_s − δ_t‖²)

fall is 1 until ``constant`` of the training is over, and then falls to 0 as half a cosine. T = 8, κ = 1, blur 0.05, 10
iterations, ratio 4 and a fall from epoch 150 of 240 are those of the public configs for resnet32x4 → resnet8x4, where the
weights vary between copies: 600 and 800, 0.006 and 0.08. Ours: the costs of WKD-L are those of the classifier, which its code
offers, and not of the CKA of all training images; the mean over several teachers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from kd_core.knobs import IntUniform, Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import label_loss
from kd_core.methods.dkd import others_BK
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-8  # in the public code's divisions and costs
VARIANCE = 1e-5  # under the public code's roots


def fall(progress: float, constant: float) -> float:
    """1 until so much of the training is over, then half a cosine down to 0."""
    if progress <= constant or constant == 1:
        return 1.0
    return (1 + math.cos(math.pi * (progress - constant) / (1 - constant))) / 2


def class_costs_KK(weight_KD: Tensor, sharpness: float) -> Tensor:
    """c: how unlike two classes are to a classifier."""
    directions_KD = F.normalize(weight_KD, dim=1)
    unlike_KK = 1 - directions_KD @ directions_KD.T
    return (1 - torch.exp(-sharpness * unlike_KK)).relu() + TINY


def transport_B(
    source_BK: Tensor, target_BK: Tensor, labels_B: Tensor, costs_KK: Tensor, blur: float, iterations: int
) -> Tensor:
    """Σ_ij q_ij · c_ij of every sample, q Sinkhorn's flow (Cuturi 2013, arXiv 1306.0895), whose rows are right at its end.

    The label has no probability: it takes part in nothing, so all samples share one matrix of costs.
    """
    kernel_KK = torch.exp(-costs_KK / blur)
    classes = source_BK.shape[1]
    rows_BK = (1 - F.one_hot(labels_B, classes)) / (classes - 1)
    columns_BK = target_BK
    for _ in range(iterations):
        columns_BK = target_BK / (rows_BK @ kernel_KK + TINY)
        rows_BK = source_BK / (columns_BK @ kernel_KK.T + TINY)
    total_B: Tensor = ((rows_BK @ (kernel_KK * costs_KK)) * columns_BK).sum(1)
    return total_B


class WKDL(Method):
    exempt: ClassVar[Mapping[str, str]] = {"least at the teacher": "a blurred transport costs something to the same place, too"}

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(800.0, "weight of what it costs to carry", low=0, search=LogUniform(10, 3000))
        temperature: float = knob(8.0, "softens what is carried", above=0, search=LogUniform(1, 16))
        sharpness: float = knob(1.0, "κ: how soon unlike classes are wholly unlike", above=0, search=LogUniform(0.2, 5))
        blur: float = knob(0.05, "entropic weight of Sinkhorn's flow", low=0.001, search=LogUniform(0.01, 1))
        iterations: int = knob(10, "of Sinkhorn's", low=1, search=IntUniform(5, 50))
        constant: float = knob(0.625, "share of the training after which beta falls; 1: never", low=0, high=1)

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS, Need.HEADS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config, labels_B = self.config, batch.labels_B
        own_BK = torch.softmax(others_BK(student.logits_BK / config.temperature, labels_B), 1)
        log_label_B = F.log_softmax(student.logits_BK, 1).gather(1, labels_B[:, None])[:, 0]
        label, carried = [], []
        for teacher, head in zip(teachers, self.setting.heads, strict=True):
            sure_B = torch.softmax(teacher.logits_BK, 1).gather(1, labels_B[:, None])[:, 0]
            label.append(-(sure_B * log_label_B).mean())
            said_BK = torch.softmax(others_BK(teacher.logits_BK / config.temperature, labels_B), 1)
            costs_KK = class_costs_KK(cast("Tensor", head.weight), config.sharpness)
            carried.append(transport_B(own_BK, said_BK, labels_B, costs_KK, config.blur, config.iterations).mean())
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "label": torch.stack(label).mean(),
                "transport": fall(progress, config.constant) * config.beta * torch.stack(carried).mean(),
            }
        )


def cells_BCGP(features_BCHW: Tensor, grid: int) -> Tensor:
    """The positions of every of ``grid``² cells of a map, whose sides they divide; of a map that is too small one cell each."""
    side = math.gcd(grid, *features_BCHW.shape[2:])
    cells: Tensor = features_BCHW.unflatten(3, (side, -1)).unflatten(2, (side, -1))  # B C side h side w
    return cells.transpose(3, 4).flatten(4).flatten(2, 3)


def moments_BCG(features_BCHW: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """μ and δ of every channel in every cell; the variance is unbiased where there are several positions."""
    cells = cells_BCGP(features_BCHW, grid)
    variance_BCG = cells.var(3, correction=1 if cells.shape[3] > 1 else 0)
    return cells.mean(3), (variance_BCG + VARIANCE).sqrt()


class WKDF(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(0.08, "weight of the distance between features", low=0, search=LogUniform(0.001, 1))
        ratio: float = knob(4.0, "weight of the means against the deviations", low=0, search=LogUniform(0.5, 16))
        grid: int = knob(1, "cells along each side of the map, where they divide it", low=1)
        constant: float = knob(0.625, "share of the training after which beta falls; 1: never", low=0, high=1)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher, pointwise, positive

        inputs = setting.student.stages[-1][0]
        self.own = by_teacher(positive(pointwise(inputs, teacher.stages[-1][0])) for teacher in setting.teachers)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        distances = [
            self._distance(adapter(student.features[-1]), teacher.features[-1])
            for adapter, teacher in zip(self.own.children(), teachers, strict=True)
        ]
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "wasserstein": fall(progress, config.constant) * config.beta * torch.stack(distances).mean(),
            }
        )

    def _distance(self, student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
        """The mean over samples and cells of the squared distance of the Gaussians."""
        grid = math.gcd(self.config.grid, *student_BCHW.shape[2:], *teacher_BCHW.shape[2:])
        (mean_BCG, deviation_BCG), (other_BCG, spread_BCG) = (moments_BCG(each, grid) for each in (student_BCHW, teacher_BCHW))
        means, deviations = (mean_BCG - other_BCG).square(), (deviation_BCG - spread_BCG).square()
        return (self.config.ratio * means + deviations).sum(1).mean()
