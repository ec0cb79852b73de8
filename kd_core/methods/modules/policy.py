"""The agent of MTKD-RL."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kd_core.methods.modules.adapters import by_teacher


class Policy(nn.Module):
    """From a state of each teacher to the logarithms of two weights of each teacher: for its logits and for its features."""

    def __init__(self, states: Sequence[int], width: int) -> None:
        super().__init__()
        self.read = by_teacher(nn.Linear(inputs, width) for inputs in states)
        self.rate = nn.Linear(width, 2)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """2MB; each of the two sums, as weights, to 1 over the teachers."""
        hidden_MBW = torch.stack([read(state_BS) for read, state_BS in zip(self.read.values(), states, strict=True)]).relu()
        return torch.log_softmax(self.rate(hidden_MBW).permute(2, 0, 1), 1)
