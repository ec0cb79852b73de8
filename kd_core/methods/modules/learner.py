"""What a method learns beside the student, by an optimiser of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Learner(nn.Module):
    """A module and its Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1), whose moments are buffers.

    So ``state_dict`` is the whole state of the inner optimisation, and a checkpoint resumes it exactly.
    """

    def __init__(self, module: nn.Module, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__()
        self.module = module
        self.lr = lr
        self.weight_decay = weight_decay  # an L2 penalty, which goes through the moments
        self.register_buffer("steps", torch.zeros(()))
        for name, parameter in module.named_parameters():
            for moment in ("mean", "square"):
                self.register_buffer(_moment(moment, name), torch.zeros_like(parameter))

    def step(self, loss: Tensor) -> None:
        """One step down the loss, which must depend on every parameter."""
        named = list(self.module.named_parameters())
        gradients = torch.autograd.grad(loss, [parameter for _, parameter in named])
        with torch.no_grad():
            steps = self.get_buffer("steps").add_(1)
            corrections = [-torch.expm1(steps * math.log(beta)) for beta in BETAS]  # 1 − βⁿ
            for (name, parameter), gradient in zip(named, gradients, strict=True):
                gradient = gradient + self.weight_decay * parameter
                mean = self.get_buffer(_moment("mean", name)).lerp_(gradient, 1 - BETAS[0])
                square = self.get_buffer(_moment("square", name)).lerp_(gradient.square(), 1 - BETAS[1])
                parameter.sub_(self.lr * (mean / corrections[0]) / ((square / corrections[1]).sqrt() + EPSILON))


def _moment(moment: str, name: str) -> str:
    return f"{moment}/{name.replace('.', '/')}"
