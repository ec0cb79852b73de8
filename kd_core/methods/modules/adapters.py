"""Small trainable modules that bring what a student says to a teacher's size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from kd_core.knowledge import NetworkShape


def by_teacher(modules: Iterable[nn.Module]) -> nn.ModuleDict:
    """The modules of the teachers, in their order, under the names ``teacher<index>``."""
    return nn.ModuleDict({f"teacher{index}": module for index, module in enumerate(modules)})


class BatchNorm(_BatchNorm):
    """Batch normalisation of BC or BCHW. A batch of one value a channel has no variance: it is normalised as in evaluation.

    Its running statistics follow what is learnt from alone: without gradients, as where training accuracy is measured on a
    batch that was learnt from already, they stay.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        assert input.dim() in (2, 4)

    def forward(self, input: Tensor) -> Tensor:
        if input.numel() == self.num_features:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        if self.training and not torch.is_grad_enabled():
            return F.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return super().forward(input)


def pointwise(inputs: int, outputs: int) -> nn.Module:
    """A 1×1 convolution and a normalisation, which keeps a large weight of its loss from diverging."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), BatchNorm(outputs))


def to_widths(student: NetworkShape, teachers: Sequence[NetworkShape], matches: Sequence[Sequence[int]]) -> nn.ModuleDict:
    """For each teacher and each stage of the student, what brings that to the width of the stage that it learns from, which is
    the teacher's of that number in ``matches``; where both are as wide, nothing."""
    return by_teacher(
        nn.ModuleList(
            nn.Identity() if stage[0] == teacher.stages[match][0] else pointwise(stage[0], teacher.stages[match][0])
            for stage, match in zip(student.stages, of_teacher, strict=True)
        )
        for teacher, of_teacher in zip(teachers, matches, strict=True)
    )


def dense(inputs: int, outputs: int) -> nn.Module:
    """The same for an embedding."""
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), BatchNorm(outputs))


def orthogonal(inputs: int, outputs: int) -> nn.Module:
    """A linear map without bias whose columns are orthonormal (its rows, where ``outputs`` is the smaller)."""
    mapped: nn.Module = nn.utils.parametrizations.orthogonal(
        nn.Linear(inputs, outputs, bias=False), orthogonal_map="matrix_exp"
    )
    return mapped


def positive(adapter: nn.Module) -> nn.Module:
    """The same, followed by a ReLU: for what its teacher says behind one."""
    return nn.Sequential(*adapter.children(), nn.ReLU())


def bottleneck(inputs: int, outputs: int, reduction: int) -> nn.Module:
    """1×1 and 3×3 convolution to ``outputs`` / ``reduction``, 1×1 convolution to ``outputs``; each with BN and ReLU."""
    width = max(outputs // reduction, 1)
    layers: list[nn.Module] = []
    for narrow, wide, kernel in ((inputs, width, 1), (width, width, 3), (width, outputs, 1)):
        layers += [nn.Conv2d(narrow, wide, kernel, padding=kernel // 2, bias=False), BatchNorm(wide), nn.ReLU()]
    return nn.Sequential(*layers)
