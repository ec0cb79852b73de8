"""The training recipe: an optimiser, its schedule, and what is done to labels, images and weights meanwhile. Teachers and
students are trained by the same kind of recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kd_core.knobs import IntUniform, Knobs, LogUniform, knob

OPTIMIZERS = ("sgd", "adam", "adamw", "muon", "dot")
MULTISTEP, COSINE, LINEAR, CONSTANT = SCHEDULES = ("multistep", "cosine", "linear", "constant")


@dataclass(frozen=True)
class Recipe(Knobs):
    """Defaults are the CIFAR recipe that RepDistiller and mdistiller share (Tian et al. 2020, arXiv 1910.10699, appendix)."""

    epochs: int = knob(240, "passes over the training split", low=1)
    batch_size: int = knob(64, "images per step; the last, smaller batch is used too", low=1)
    lr: float = knob(0.05, "peak learning rate", above=0, search=LogUniform(0.005, 0.5))
    momentum: float = knob(0.9, "sgd, dot, muon: momentum", low=0, below=1)
    weight_decay: float = knob(
        5e-4, "L2 penalty on every parameter; adamw and muon decay the weights themselves", low=0, search=LogUniform(1e-5, 5e-3)
    )
    nesterov: bool = knob(False, "Nesterov momentum")
    schedule: str = knob("multistep", "how the learning rate falls", choices=SCHEDULES)
    milestones: tuple[int, ...] | None = knob(
        None, "multistep: epochs at which the learning rate falls; default 5/8, 6/8 and 7/8 of the epochs", low=0
    )
    decay: float = knob(0.1, "multistep: factor at each milestone", above=0, high=1)
    warmup: int = knob(0, "epochs over which the learning rate rises linearly to its peak", low=0, search=IntUniform(0, 10))
    precision: str = knob("fp32", "bf16 computes the forward passes under autocast", choices=("fp32", "bf16"))
    optimizer: str = knob(
        "sgd",
        "the optimiser; muon: of weights that are matrices, and adamw of the rest; dot: SGD with one momentum for the labels' "
        "loss and another for distillation's (Zhao et al. 2023, arXiv 2307.08436)",
        choices=OPTIMIZERS,
        later=True,
    )
    delta: float = knob(
        0.075,
        "dot: momentum of the labels' loss is so much less, that of distillation so much more",
        low=0,
        below=1,
        later=True,
    )
    betas: tuple[float, float] = knob((0.9, 0.999), "adam, adamw, muon: decay of the two moments", low=0, below=1, later=True)
    epsilon: float = knob(1e-8, "adam, adamw, muon: what the root of the second moment is kept from 0 by", above=0, later=True)
    decay_all: bool = knob(True, "whether weight_decay also reaches what has one dimension: biases, normalisations", later=True)
    clip: float | None = knob(None, "the L2 norm of all gradients together is at most this", above=0, later=True)
    ema: float | None = knob(
        None,
        "decay, each step, of a moving average of the weights: it is what is evaluated and kept",
        above=0,
        below=1,
        later=True,
    )
    label_smoothing: float = knob(0.0, "share of every label that is spread over all classes", low=0, below=1, later=True)
    mixup: float = knob(0.0, "alpha: images and labels are mixed two by two, in Beta(alpha, alpha) shares", low=0, later=True)
    cutmix: float = knob(0.0, "alpha: a box of every image is another's, its share of Beta(alpha, alpha)", low=0, later=True)
    warmup_from: float | None = knob(
        None, "share of lr at the first step of the warm-up; default: 1 / (warmup + 1)", low=0, high=1, later=True
    )
    lr_end: float = knob(0.0, "cosine, linear: share of lr at the end", low=0, high=1, later=True)

    def conflicts(self) -> list[str]:
        found = []
        if self.nesterov and self.momentum == 0:
            found.append("`nesterov` needs `momentum` > 0")
        if self.nesterov and self.optimizer not in ("sgd", "muon"):
            found.append(f"`nesterov` is for optimizer sgd and muon, but `optimizer` is {self.optimizer}")
        if self.optimizer == "dot":
            if self.momentum + self.delta >= 1 or self.momentum < self.delta:
                given = f"{self.momentum:g} and {self.delta:g}"
                found.append(f"`momentum` less and more `delta` must lie in [0, 1) for optimizer dot, but they are {given}")
            if self.clip is not None:
                found.append("`clip` bounds one gradient, and optimizer dot has two")
        if self.warmup_from is not None and self.warmup == 0:
            found.append("`warmup_from` needs `warmup` > 0")
        if self.lr_end and self.schedule not in (COSINE, LINEAR):
            found.append(f"`lr_end` is for schedule cosine and linear, but `schedule` is {self.schedule}")
        if self.warmup >= self.epochs and self.warmup > 0:
            found.append(f"`warmup` must be < epochs ({self.epochs}), but got {self.warmup}")
        if self.milestones is not None:
            if self.schedule != MULTISTEP:
                found.append(f"`milestones` belong to schedule multistep, but `schedule` is {self.schedule}")
            if list(self.milestones) != sorted(set(self.milestones)):
                found.append(f"`milestones` must rise, but got {list(self.milestones)}")
        return found

    def lr_at(self, epoch: float) -> float:
        """The learning rate at a point of the training, in epochs (fractions are steps within an epoch)."""
        if epoch < self.warmup:
            if self.warmup_from is None:
                return self.lr * (epoch + 1) / (self.warmup + 1)
            return self.lr * (self.warmup_from + (1 - self.warmup_from) * epoch / self.warmup)
        if self.schedule in (COSINE, LINEAR):
            progress = (epoch - self.warmup) / (self.epochs - self.warmup)
            share = 0.5 * (1 + math.cos(math.pi * progress)) if self.schedule == COSINE else 1 - progress
            return self.lr * (self.lr_end + (1 - self.lr_end) * share if self.lr_end else share)
        if self.schedule == MULTISTEP:
            return self.lr * self.decay ** sum(epoch >= milestone for milestone in self.steps)
        return self.lr

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with one another: what teachers say of such a one is asked live."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def steps(self) -> tuple[float, ...]:
        """The milestones, or their default."""
        if self.milestones is None:
            return tuple(self.epochs * eighths / 8 for eighths in (5, 6, 7))
        return self.milestones
