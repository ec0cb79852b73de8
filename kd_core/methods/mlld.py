"""MLLD, multi-level logit distillation (Jin et al. 2023, CVPR, "Multi-Level Logit Distillation").

Every image is shown twice: weakly augmented as all are (view w) and strongly (view s). With p = σ(z / τ), of a batch the matrix
P (B × K), and τ in 𝒯 = {2, 3, 4, 5, 6}, logits are aligned image by image, between images and between classes:

    ins_τ(t, s) = KL_τ(t ‖ s)        bat_τ(t, s) = ‖P_t P_tᵀ − P_s P_sᵀ‖² / B        cla_τ(t, s) = ‖P_tᵀ P_t − P_sᵀ P_s‖² / K
    L = ce · (CE_w + CE_s) + α · Σ_τ [m · ins_τ(w) + ins_τ(s) + m · bat_τ(w) + m_K · cla_τ(w)]

m is the share of the images of which the teacher is not surer than of the median one, and m_K that of the classes that it
expects no more than the median one: about a half each. As in the public code, which multiplies by these shares where it builds
masks of images and classes, takes the batch and class levels of view w alone, and at τ in {2, 6} takes view w once more for
view s. Weights 0.1 and 0.9 are its defaults, with lr 0.025 for 240 epochs. Ours: the mean over several teachers; operations of
torchvision's RandAugment in place of FixMatch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import LogUniform, knob
from kd_core.knowledge import Batch, Knowledge
from kd_core.lazy import torch
from kd_core.losses import kl_divergence, label_loss
from kd_core.methods.setting import Loss
from kd_core.methods.views import OfTwoViews, SecondView

if TYPE_CHECKING:
    from torch import Tensor


def between_images(target_BK: Tensor, logits_BK: Tensor, temperature: float) -> Tensor:
    """bat: how alike the networks find two images."""
    one_BK, two_BK = (torch.softmax(each_BK / temperature, 1) for each_BK in (target_BK, logits_BK))
    return (one_BK @ one_BK.T - two_BK @ two_BK.T).square().sum() / len(logits_BK)


def between_classes(target_BK: Tensor, logits_BK: Tensor, temperature: float) -> Tensor:
    """cla: how often the networks think of two classes together."""
    one_BK, two_BK = (torch.softmax(each_BK / temperature, 1) for each_BK in (target_BK, logits_BK))
    return (one_BK.T @ one_BK - two_BK.T @ two_BK).square().sum() / logits_BK.shape[1]


def share_up_to_median(values_N: Tensor) -> Tensor:
    """The share of the values that are not above the median, in [½, 1]."""
    return (values_N <= values_N.median()).float().mean()


class MLLD(OfTwoViews):
    @dataclass(frozen=True)
    class Config(SecondView):
        ce: float = knob(0.1, "weight of the cross-entropy of both views with the labels", low=0)
        alpha: float = knob(0.9, "weight of every alignment with the teachers", low=0, search=LogUniform(0.05, 5))
        temperatures: tuple[float, ...] = knob((2.0, 3.0, 4.0, 5.0, 6.0), "τ at which logits are aligned", above=0)
        again: tuple[float, ...] = knob((2.0, 6.0), "those at which the first view stands for the second", above=0)

        def conflicts(self) -> list[str]:
            if not self.temperatures:
                return ["`temperatures` must name some"]
            if strange := [heat for heat in self.again if heat not in self.temperatures]:
                return [f"`again` must be among `temperatures` {list(self.temperatures)}, but got {strange[0]:g}"]
            return []

    config: Config

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config, (strong,) = self.config, student.others
        labels = label_loss(student.logits_BK, batch) + label_loss(strong.logits_BK, batch)
        levels = [torch.stack(self._levels(student, teacher)) for teacher in teachers]
        images, pairs, classes = config.alpha * torch.stack(levels).mean(0)
        return Loss({"ce": config.ce * labels, "kl": images, "batch": pairs, "class": classes})

    def _levels(self, student: Knowledge, teacher: Knowledge) -> list[Tensor]:
        """The sums over τ of what is aligned image by image, between images and between classes."""
        config = self.config
        weak, strong = (
            (teacher.logits_BK, student.logits_BK),
            (teacher.others[0].logits_BK, student.others[0].logits_BK),
        )
        sure_BK = torch.softmax(teacher.logits_BK, 1)
        share, class_share = share_up_to_median(sure_BK.amax(1)), share_up_to_median(sure_BK.sum(0))
        images = [
            share * kl_divergence(*weak, heat) + kl_divergence(*(weak if heat in config.again else strong), heat)
            for heat in config.temperatures
        ]
        pairs = [share * between_images(*weak, heat) for heat in config.temperatures]
        classes = [class_share * between_classes(*weak, heat) for heat in config.temperatures]
        return [torch.stack(terms).sum() for terms in (images, pairs, classes)]
