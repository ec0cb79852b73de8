"""CRLD, cross-view consistency regularisation for logit distillation (Zhang et al. 2024, ACM MM, "Cross-View Consistency
Regularisation for Knowledge Distillation").

Every image is shown twice: weakly augmented as all are (view w) and strongly (view s). The student learns what the teacher says
of the view that it sees, and of the other one; of an image only where the teacher is sure, with c = max_k σ(z_t)_k:

    within = KL_T(t_w ‖ s_w) + KL_T(t_s ‖ s_s) where c_w ≥ τ_w, else 0
    across = KL_T(t_w ‖ s_s) + KL_T(t_s ‖ s_w) where c_s ≥ τ_s, else 0
    L = ce · (CE_w + CE_s) + α · (1/M) Σ_t mean over x of within + β · (1/M) Σ_t mean over x of across

Weights 1, 2 and ½, T = 4, τ_w = 0.9 and τ_s = 0.2 are the public code's. Ours: the mean over several teachers; operations of
torchvision's RandAugment in place of FixMatch's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kd_core.knobs import LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge
from kd_core.lazy import torch
from kd_core.losses import kl_divergence_B, label_loss
from kd_core.methods.setting import Loss
from kd_core.methods.views import OfTwoViews, SecondView

if TYPE_CHECKING:
    from torch import Tensor


class CRLD(OfTwoViews):
    exempt: ClassVar[Mapping[str, str]] = {"least at the teacher": "one view learns what is said of the other"}

    @dataclass(frozen=True)
    class Config(SecondView):
        ce: float = knob(1.0, "weight of the cross-entropy of both views with the labels", low=0)
        alpha: float = knob(2.0, "weight of what is learnt within a view", low=0, search=LogUniform(0.2, 20))
        beta: float = knob(0.5, "weight of what is learnt across views", low=0, search=LogUniform(0.05, 5))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        sure_within: float = knob(0.9, "τ_w: how sure of the weak view a teacher must be", low=0, high=1, search=Uniform(0, 1))
        sure_across: float = knob(
            0.2, "τ_s: how sure of the strong view a teacher must be", low=0, high=1, search=Uniform(0, 1)
        )

    config: Config

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config, (strong,) = self.config, student.others
        views = (student.logits_BK, strong.logits_BK)
        within, across = [], []
        for teacher in teachers:
            said = (teacher.logits_BK, teacher.others[0].logits_BK)
            sure_w_B, sure_s_B = (torch.softmax(each_BK, 1).amax(1) for each_BK in said)
            within.append((self._both_B(said, views) * (sure_w_B >= config.sure_within)).mean())
            across.append((self._both_B(said, views[::-1]) * (sure_s_B >= config.sure_across)).mean())
        return Loss(
            {
                "ce": config.ce * (label_loss(views[0], batch) + label_loss(views[1], batch)),
                "within": config.alpha * torch.stack(within).mean(),
                "across": config.beta * torch.stack(across).mean(),
            }
        )

    def _both_B(self, said: tuple[Tensor, ...], heard: tuple[Tensor, ...]) -> Tensor:
        """Σ of KL_T over both views, each as it is heard."""
        pairs = zip(said, heard, strict=True)
        return torch.stack([kl_divergence_B(*pair, self.config.temperature) for pair in pairs]).sum(0)
