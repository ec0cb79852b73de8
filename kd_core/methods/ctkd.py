"""CTKD, curriculum temperature (Li et al. 2023, arXiv 2211.16231): a temperature that is learned against the student.

    T = start + span · σ(θ), θ from 1
    L = ce · CE + α · (1/M) Σ_t KL_T(z_t ‖ z_s)

One θ for all samples ("global" in the paper) climbs the gradient that the student descends: its gradient is multiplied by −λ,
λ = (1 − cos(π · min(1, (epoch + 1) / loops))) / 2, epochs counted from 0. Weights, start 1, span 20 and 10 loops are the public
code's. θ is trained by the student's optimiser, its weight decay included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import nn, torch
from kd_core.losses import kl_divergence_B, label_loss, risen
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor


class CTKD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(0.1, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(0.9, "weight of the divergence from the teachers", low=0, search=Uniform(0.1, 4))
        start: float = knob(1.0, "the lowest temperature", above=0)
        span: float = knob(20.0, "how far above it the temperature can go", above=0)
        loops: int = knob(10, "epochs over which the reversed gradient rises to its full strength", low=1)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        self.own.register_parameter("theta", nn.Parameter(torch.ones(1)))

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        temperature = self._temperature(batch.epoch)
        divergences = [kl_divergence_B(teacher.logits_BK, student.logits_BK, temperature) for teacher in teachers]
        terms = {
            "ce": config.ce * label_loss(student.logits_BK, batch),
            "kl": config.alpha * torch.stack(divergences).mean(),
        }
        return Loss(terms, {"temperature": temperature.detach().squeeze()})

    def _temperature(self, epoch: int) -> Tensor:
        """T, whose gradient goes to θ reversed and times λ."""
        theta = self.own.get_parameter("theta")
        strength = (1 - math.cos(math.pi * risen(epoch, self.config.loops))) / 2
        reversed_ = (1 + strength) * theta.detach() - strength * theta
        temperature: Tensor = self.config.start + self.config.span * torch.sigmoid(reversed_)
        return temperature
