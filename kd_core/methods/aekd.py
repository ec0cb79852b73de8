"""AEKD, agree to disagree (Du et al. 2020, NeurIPS 33): the step at the logits on which the teachers agree most.

    g_t = mean over x of the gradient of KL_T(z_t ‖ z_s) at z_s  =  T · mean over x of (σ(z_s / T) − σ(z_t / T))
    a = argmin ½ ‖Σ_t a_t g_t‖²  where  Σ_t a_t = 1, 0 ≤ a_t ≤ C
    L = ce · CE + α · Σ_t a_t · KL_T(z_t ‖ z_s)

That gradient is known in closed form, so no backward pass through the student is added, and the programme in M
unknowns is solved exactly, on the device. A ceiling C below 1 / M admits no solution and is read as 1 / M.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import divergences_MB, label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-6


def patterns(teachers: int, ceiling: float) -> tuple[Tensor, Tensor]:
    """Every way in which some a_t can lie at a bound, 0 or the ceiling, and the rest, at least one, be free.

    Returns which are free (PM, bool) and the bounds of the others (PM), of the P patterns that can sum to 1.
    """
    free, fixed = [], []
    for pattern in itertools.product((None, 0.0, ceiling), repeat=teachers):
        if None in pattern and sum(bound or 0.0 for bound in pattern) <= 1:
            free.append([bound is None for bound in pattern])
            fixed.append([bound or 0.0 for bound in pattern])
    return torch.tensor(free), torch.tensor(fixed, dtype=torch.float64)


def least_norm_weights_M(gradients_MK: Tensor, free_PM: Tensor, fixed_PM: Tensor, ceiling: float) -> Tensor:
    """The a that minimises ½ ‖Σ_t a_t g_t‖² over the simplex with a_t ≤ ceiling (≥ 1/M), given its :func:`patterns`.

    At the optimum the free a_t of some pattern solve a linear system. All patterns are solved at once, and the best that keeps
    its bounds is the optimum. A slight ridge makes it unique, and equal for equal gradients.
    """
    teachers = gradients_MK.shape[0]
    gram_MM = gradients_MK.double() @ gradients_MK.double().T
    gram_MM = gram_MM / gram_MM.diagonal().mean().clamp(min=1e-30)
    gram_MM = gram_MM + 1e-8 * torch.eye(teachers, dtype=gram_MM.dtype, device=gram_MM.device)
    # rows of free a_t: (G a)_t − λ = 0; rows of fixed a_t: a_t = its bound; last row: Σ a = 1
    one_M1 = gram_MM.new_ones(teachers, 1)
    stationary_MN = torch.cat([gram_MM, -one_M1], 1)
    pinned_MN = torch.eye(teachers, teachers + 1, dtype=gram_MM.dtype, device=gram_MM.device)
    rows_PMN = torch.where(free_PM[..., None], stationary_MN, pinned_MN)
    sum_P1N = torch.cat([one_M1.T, gram_MM.new_zeros(1, 1)], 1).expand(len(free_PM), 1, -1)
    right_PN = torch.cat([fixed_PM, gram_MM.new_ones(len(free_PM), 1)], 1)
    found_PM: Tensor = torch.linalg.solve_ex(torch.cat([rows_PMN, sum_P1N], 1), right_PN[..., None])[0][:, :teachers, 0]
    value_P = torch.einsum("pi,ij,pj->p", found_PM, gram_MM, found_PM)
    kept_P = ((found_PM >= -TOLERANCE) & (found_PM <= ceiling + TOLERANCE)).all(1)
    best_M = found_PM.index_select(0, value_P.where(kept_P, torch.inf).argmin()[None])[0]  # never waits for the device
    return best_M.clamp(0, ceiling).to(gradients_MK.dtype)


class AEKD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the divergence from the teachers", low=0, search=Uniform(0.1, 4))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        ceiling: float = knob(0.6, "C, the largest weight a teacher may have", above=0, high=1, search=Uniform(0.4, 1))

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        self.ceiling = max(config.ceiling, 1 / len(setting.teachers))
        free_PM, fixed_PM = patterns(len(setting.teachers), self.ceiling)
        self.own.register_buffer("free_PM", free_PM, persistent=False)
        self.own.register_buffer("fixed_PM", fixed_PM, persistent=False)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    @staticmethod
    def softened(config: Config) -> float | None:
        return config.temperature

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config, heat = self.config, self.config.temperature
        student_K = torch.softmax(student.logits_BK.detach() / heat, 1).mean(0)
        teachers_MK = torch.stack([torch.softmax(teacher.logits_BK / heat, 1).mean(0) for teacher in teachers])
        free_PM, fixed_PM = self.own.get_buffer("free_PM"), self.own.get_buffer("fixed_PM")
        weight_M = least_norm_weights_M(heat * (student_K - teachers_MK), free_PM, fixed_PM, self.ceiling)
        divergence = (weight_M * divergences_MB(teachers, student, heat).mean(1)).sum()
        terms = {"ce": config.ce * label_loss(student.logits_BK, batch), "kl": config.alpha * divergence}
        return Loss(terms, {f"weight/teacher{teacher}": weight for teacher, weight in enumerate(weight_M)})
