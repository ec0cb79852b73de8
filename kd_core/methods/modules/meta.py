"""What MMKD learns, and the hard samples that it learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from kd_core.methods.modules.adapters import by_teacher


class TeacherWeights(nn.Module):
    """A perceptron of one hidden layer from what all networks say to the weights of the teachers.

    The hidden layer is half as wide as all inputs together. It is linear in each network's part, so that what belongs to a
    teacher can be told from the rest.
    """

    def __init__(self, student: int, teachers: Sequence[int]) -> None:
        super().__init__()
        width = max((student + sum(teachers)) // 2, 1)
        self.of_student = nn.Linear(student, width)
        self.of_teachers = by_teacher(nn.Linear(inputs, width, bias=False) for inputs in teachers)
        self.rates = by_teacher(nn.Linear(width, 1) for _ in teachers)

    def forward(self, student_BD: Tensor, teachers: Sequence[Tensor]) -> Tensor:
        """Weights MB, which sum to 1 over the teachers."""
        heard_BW = torch.stack([part(said_BD) for part, said_BD in zip(self.of_teachers.values(), teachers, strict=True)]).sum(
            0
        )
        hidden_BW = torch.relu(self.of_student(student_BD) + heard_BW)
        return torch.softmax(torch.cat([rate(hidden_BW) for rate in self.rates.values()], 1).T, 0)


class HardBuffer(nn.Module):
    """The last ``size`` hard samples: named rows of tensors, overwritten in turn."""

    def __init__(self, size: int, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.size = size
        self.names = tuple(widths)
        self.register_buffer("labels", torch.zeros(size, dtype=torch.long))
        self.register_buffer("written", torch.zeros((), dtype=torch.long))
        for name, width in widths.items():
            self.register_buffer(name, torch.zeros(size, width))

    @torch.no_grad()
    def put(self, labels_B: Tensor, rows: Mapping[str, Tensor]) -> None:
        """Keep these samples, at most ``size``."""
        written = self.get_buffer("written")
        positions_B = (written + torch.arange(len(labels_B), device=written.device)) % self.size
        self.get_buffer("labels")[positions_B] = labels_B
        for name in self.names:
            self.get_buffer(name)[positions_B] = rows[name]
        written += len(labels_B)

    def present(self) -> Tensor:
        """1 for the places that hold a sample, 0 for the others."""
        written = self.get_buffer("written")
        return (torch.arange(self.size, device=written.device) < written).float()

    def rows(self, *names: str) -> list[Tensor]:
        return [self.get_buffer(name) for name in names]
