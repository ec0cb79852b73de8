"""The training recipe: SGD and its schedule. Teachers and students are trained by the same kind of recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kd_core.knobs import IntUniform, Knobs, LogUniform, knob


@dataclass(frozen=True)
class Recipe(Knobs):
    """Defaults are the CIFAR recipe that RepDistiller and mdistiller share (Tian et al. 2020, arXiv 1910.10699, appendix)."""

    epochs: int = knob(240, "passes over the training split", low=1)
    batch_size: int = knob(64, "images per step; the last, smaller batch is used too", low=1)
    lr: float = knob(0.05, "peak learning rate", above=0, search=LogUniform(0.005, 0.5))
    momentum: float = knob(0.9, "SGD momentum", low=0, below=1)
    weight_decay: float = knob(5e-4, "L2 penalty on every parameter", low=0, search=LogUniform(1e-5, 5e-3))
    nesterov: bool = knob(False, "Nesterov momentum")
    schedule: str = knob("multistep", "how the learning rate falls", choices=("multistep", "cosine", "constant"))
    milestones: tuple[int, ...] | None = knob(
        None, "multistep: epochs at which the learning rate falls; default 5/8, 6/8 and 7/8 of the epochs", low=0
    )
    decay: float = knob(0.1, "multistep: factor at each milestone", above=0, high=1)
    warmup: int = knob(0, "epochs over which the learning rate rises linearly to its peak", low=0, search=IntUniform(0, 10))
    precision: str = knob("fp32", "bf16 computes the forward passes under autocast", choices=("fp32", "bf16"))

    def conflicts(self) -> list[str]:
        found = []
        if self.nesterov and self.momentum == 0:
            found.append("`nesterov` needs `momentum` > 0")
        if self.warmup >= self.epochs and self.warmup > 0:
            found.append(f"`warmup` must be < epochs ({self.epochs}), but got {self.warmup}")
        if self.milestones is not None:
            if self.schedule != "multistep":
                found.append(f"`milestones` belong to schedule multistep, but `schedule` is {self.schedule}")
            if list(self.milestones) != sorted(set(self.milestones)):
                found.append(f"`milestones` must rise, but got {list(self.milestones)}")
        return found

    def lr_at(self, epoch: float) -> float:
        """The learning rate at a point of the training, in epochs (fractions are steps within an epoch)."""
        if epoch < self.warmup:
            return self.lr * (epoch + 1) / (self.warmup + 1)
        if self.schedule == "cosine":
            progress = (epoch - self.warmup) / (self.epochs - self.warmup)
            return self.lr * 0.5 * (1 + math.cos(math.pi * progress))
        if self.schedule == "multistep":
            return self.lr * self.decay ** sum(epoch >= milestone for milestone in self.steps)
        return self.lr

    @property
    def steps(self) -> tuple[float, ...]:
        """The milestones, or their default."""
        if self.milestones is None:
            return tuple(self.epochs * eighths / 8 for eighths in (5, 6, 7))
        return self.milestones
