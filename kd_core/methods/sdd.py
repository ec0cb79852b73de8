"""SDD, scale decoupled distillation (Wei et al. 2024, arXiv 2403.13512): logits of every part of an image.

The last feature map, pooled to m × m cells for every m of ``scales``, gives a network Σ m² logits, each its classifier's of one
cell; those of m = 1 are its own. A cell of a teacher is consistent where it and the whole image are both classified rightly, or
both wrongly; otherwise it is complementary, and weighs ``complementary`` times as much.

    L = ce · CE + ramp · (1/M) Σ_t mean over x of Σ_cells w · D(z_t ‖ z_s)

D is DKD's α · TCKD + β · NCKD, or α · KL_T for ``base: kd``. ramp as DKD's. Ours: the mean over several teachers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import kl_divergence_B, label_loss, pooled, risen
from kd_core.methods.dkd import binary_B2, others_BK
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

if TYPE_CHECKING:
    from torch import Tensor, nn

BASES = ("dkd", "kd")


def cell_logits_BCK(knowledge: Knowledge, head: nn.Module, scales: tuple[int, ...]) -> Tensor:
    """The logits of every cell, scale by scale, row by row."""
    cells = [pooled(knowledge.pooled_BCHW, (side, side)).flatten(2) for side in scales]
    logits_BCK: Tensor = head(torch.cat(cells, 2).transpose(1, 2))
    return logits_BCK


class SDD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        base: str = knob("dkd", "what is asked of every cell", choices=BASES)
        alpha: float = knob(1.0, "dkd: weight of the label's share; kd: of the divergence", low=0, search=Uniform(0, 4))
        beta: float = knob(8.0, "dkd: weight of the other classes' divergence", low=0, search=LogUniform(0.5, 16))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        scales: tuple[int, ...] = knob((1, 2, 4), "cells along each side of the map", low=1)
        complementary: float = knob(2.0, "weight of the cells that contradict the whole; consistent ones have 1", low=0)
        warmup: int = knob(20, "epochs over which it rises to its weight", low=0)

        def conflicts(self) -> list[str]:
            if list(self.scales) != sorted(set(self.scales)) or self.scales[:1] != (1,):
                return [f"`scales` must rise from 1, the whole map, but got {list(self.scales)}"]
            return []

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES, Need.HEADS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        ramp = risen(batch.epoch, config.warmup)
        own_BCK = cell_logits_BCK(student, student.head, config.scales)
        losses = []
        for teacher, head in zip(teachers, self.setting.heads, strict=True):
            said_BCK = cell_logits_BCK(teacher, head, config.scales)
            right_BC = said_BCK.argmax(2) == batch.labels_B[:, None]
            weight_BC = torch.where(right_BC == right_BC[:, :1], 1.0, config.complementary)
            losses.append((weight_BC * self._divergence_BC(said_BCK, own_BCK, batch.labels_B)).sum(1).mean())
        terms = {"ce": config.ce * label_loss(student.logits_BK, batch), "cells": ramp * torch.stack(losses).mean()}
        return Loss(terms)

    def _divergence_BC(self, target_BCK: Tensor, logits_BCK: Tensor, labels_B: Tensor) -> Tensor:
        """D of every cell."""
        config, heat, (samples, cells) = self.config, self.config.temperature, target_BCK.shape[:2]
        labels_N = labels_B.repeat_interleave(cells)
        target_NK, logits_NK = target_BCK.flatten(0, 1), logits_BCK.flatten(0, 1)
        if config.base == "kd":
            return config.alpha * kl_divergence_B(target_NK, logits_NK, heat).view(samples, cells)
        target_N2, logits_N2 = (binary_B2(each_NK / heat, labels_N) for each_NK in (target_NK, logits_NK))
        label_N = heat**2 * kl_divergence_B(target_N2, logits_N2, 1.0)
        other_N = kl_divergence_B(others_BK(target_NK, labels_N), others_BK(logits_NK, labels_N), heat)
        return (config.alpha * label_N + config.beta * other_N).view(samples, cells)
