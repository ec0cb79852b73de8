"""Small trainable modules that bring what a student says to a teacher's size."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


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
