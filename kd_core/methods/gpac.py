"""GPAC, multi-teacher distillation by joint guidance of probe and adaptive corrector.

Source: Neural Networks 164 (2023) 345-356, doi 10.1016/j.neunet.2023.04.015. Only its abstract is public; it says what each
part does, not its formula. What follows is our reading of three of its claims, every constant of which is a knob.

Probes choose the teachers: a linear classifier probe detects the accuracy of every teacher, and the student selects better
teachers for its middle layers. π_{t,l} is :func:`kd_core.methods.selection.selection`.

Adaptive multi-teacher instruction: instructional weights emphasise the student's predicted direction and reduce its
difficulty, and every teacher forms its own guiding scheme from its divergence to the student.

    d_t(x) = KL_T(z_t ‖ z_s)
    w_t(x) = softmax over t of −d_t(x) / τ_instruct                          detached; with ``direction: class`` of
             ln σ(z_t / T)_k / τ_instruct, k the class that the student predicts, another reading of its predicted direction
    g_t(x) = min(g_max, (d_t(x) / (mean over the batch of d_t + ε))^γ)       detached
    L_instruct = mean over x of Σ_t w_t(x) · g_t(x) · d_t(x)

Multi-level spatial attention: a piecewise function of the epoch with three levels scales the attention loss.

    L_attention = Σ_l Σ_t π_{t,l} · mean over x and p of (Q_{s,l} − Q_{t,l})²
    β(e) = β₀ · level_i while e / E lies between the boundaries i − 1 and i

    L = ce · CE + α · L_instruct + β(e) · L_attention

β₀ = 1000 is made for 32 × 32 images (see AT): 8 × 8 ones want a sixteenth of it or less.

Each part can be switched off: uniform instruction by τ_instruct = ∞, no corrector by γ = 0, no instruction by α = 0, no
attention by β₀ = 0, and no selection by ``top: null`` with τ_probe = ∞ (then no probes are needed).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import IntUniform, Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import attention_distance, divergences_MB, label_loss, match_stages, teacher_means
from kd_core.methods import spans
from kd_core.methods.method import Method
from kd_core.methods.selection import ProbeSelection, matched_accuracy, selection, uniform_selection
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor


DIRECTIONS = ("divergence", "class")
PREDICTED = DIRECTIONS[1]


def instruction_weights_MB(distance_MB: Tensor, tau: float) -> Tensor:
    """w: near teachers lead; sums to 1 over the teachers."""
    return torch.softmax(-distance_MB / tau, dim=0)


def surprise_MB(teachers: tuple[Knowledge, ...], student: Knowledge, temperature: float) -> Tensor:
    """−ln σ(z_t / T) of the class that the student predicts, in nats."""
    predicted_B1 = student.logits_BK.argmax(1, keepdim=True)
    return torch.stack(
        [-torch.log_softmax(teacher.logits_BK / temperature, 1).gather(1, predicted_B1)[:, 0] for teacher in teachers]
    )


def guiding_scheme_MB(distance_MB: Tensor, gamma: float, ceiling: float, epsilon: float) -> Tensor:
    """g: a teacher presses harder on samples that are farther from it than its mean sample."""
    relative_MB = distance_MB / (distance_MB.mean(1, keepdim=True) + epsilon)
    return relative_MB.clamp(min=0).pow(gamma).clamp(max=ceiling)  # rounding can leave a divergence just below 0


class GPAC(Method):
    version = 2  # 1 squared maps of unequal sizes before it pooled them

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(0.9, "weight of the instruction; 0 switches it off", low=0, search=Uniform(0.1, 4))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        tau_instruct: float = knob(
            1.0,
            "temperature of the instructional weights; .inf weighs all teachers equally",
            above=0,
            infinite=True,
            search=LogUniform(0.05, 20),
        )
        direction: str = knob(
            "divergence",
            "which teachers are near: those of small divergence, or those that hold the student's predicted class likely",
            choices=DIRECTIONS,
            later=True,
        )
        gamma: float = knob(0.5, "exponent of the guiding scheme; 0 switches it off", low=0, search=Uniform(0, 2))
        guide_max: float = knob(4.0, "ceiling of the guiding scheme", low=1)
        epsilon: float = knob(1e-8, "added to a teacher's mean divergence", above=0)
        beta: float = knob(1000.0, "weight of the attention loss; 0 switches it off", low=0, search=LogUniform(10, 10_000))
        levels: tuple[float, ...] = knob((1.0, 0.5, 0.1), "factors of beta, one for each span of the training", low=0)
        boundaries: tuple[float, ...] = knob((1 / 3, 2 / 3), "where one span ends and the next begins", above=0, below=1)
        top: int | None = knob(
            1, "teachers that a stage may listen to, the most accurate ones; null: all", low=1, search=IntUniform(1, 3)
        )
        tau_probe: float = knob(
            0.01,
            "temperature of the selection weights, in accuracy; .inf: equal",
            above=0,
            infinite=True,
            search=LogUniform(0.001, 1),
        )

        def conflicts(self) -> list[str]:
            return spans.conflicts("levels", self.levels, self.boundaries)

        @property
        def attends(self) -> bool:
            return self.beta > 0 and any(level > 0 for level in self.levels)

        @property
        def selects(self) -> bool:
            return self.attends and not (self.top is None and math.isinf(self.tau_probe))

        def beta_at(self, progress: float) -> float:
            """β(e), of progress = e / E in [0, 1)."""
            return self.beta * spans.value_at(self.levels, self.boundaries, progress)

    config: Config

    @staticmethod
    def selection(config: Config) -> ProbeSelection | None:
        return ProbeSelection(config.top, config.tau_probe) if config.selects else None

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        self.matches = [match_stages(setting.student.sizes, teacher.sizes) for teacher in setting.teachers]
        if config.selects:
            sizes = tuple(teacher.sizes for teacher in setting.teachers)
            accuracy_ML = matched_accuracy(setting.probes, setting.student.sizes, sizes)
            self.selection_ML = selection(accuracy_ML, config.top, config.tau_probe)
        else:
            self.selection_ML = uniform_selection(len(setting.teachers), len(setting.student.stages))

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        asked = {Need.LOGITS: config.alpha > 0, Need.ATTENTION: config.attends, Need.PROBES: config.selects}
        return frozenset(need for need, wanted in asked.items() if wanted)

    @staticmethod
    def softened(config: Config) -> float | None:
        return config.temperature

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        terms = {"ce": config.ce * label_loss(student.logits_BK, batch)}
        curves: dict[str, Tensor] = {}
        if config.alpha > 0:
            instruction, found = self._instruction(student, teachers)
            terms["instruct"] = config.alpha * instruction
            curves |= found
        if config.attends:
            attention, found = self._attention(student, teachers)
            beta = config.beta_at(progress)
            terms["attention"] = beta * attention
            curves |= found | {"beta": torch.full_like(attention, beta)}
        return Loss(terms, curves)

    def _instruction(self, student: Knowledge, teachers: tuple[Knowledge, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """L_instruct, and the mean w and g of every teacher."""
        config = self.config
        distance_MB = divergences_MB(teachers, student, config.temperature)
        far_MB = distance_MB.detach()
        if config.direction == PREDICTED:
            far_MB = surprise_MB(teachers, student, config.temperature)
        weight_MB = instruction_weights_MB(far_MB, config.tau_instruct)
        guide_MB = guiding_scheme_MB(distance_MB.detach(), config.gamma, config.guide_max, config.epsilon)
        curves = teacher_means("weight", weight_MB) | teacher_means("guide", guide_MB)
        return (weight_MB * guide_MB * distance_MB).sum(0).mean(), curves

    def _attention(self, student: Knowledge, teachers: tuple[Knowledge, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """L_attention, and π of every stage and teacher."""
        distance = student.logits_BK.new_zeros(())
        curves = {}
        for index, (teacher, weights, matches) in enumerate(zip(teachers, self.selection_ML, self.matches, strict=True)):
            for stage, (weight, match) in enumerate(zip(weights, matches, strict=True)):
                curves[f"selection/stage{stage}/teacher{index}"] = distance.new_full((), weight)
                if weight > 0:
                    pair = attention_distance(student, stage, teacher, match)
                    distance = distance + weight * pair
        return distance, curves
