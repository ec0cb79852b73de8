"""Batch normalisation over the batch of a whole group, so that several workers compute what one would, up to rounding.

torch's own ``SyncBatchNorm`` does this on GPUs alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kd_core.distributed import Group

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class _Sum(torch.autograd.Function):
    """The sum over the group. The group's loss is the sum of its workers' losses, so gradients are summed as well."""

    @staticmethod
    def forward(context: Any, value: Tensor, group: Group) -> Tensor:
        context.group = group
        total = value.clone()
        group.sum([total])
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone()
        context.group.sum([total])
        return total, None


def _sum(value: Tensor, group: Group) -> Tensor:
    total: Tensor = _Sum.apply(value, group)  # type: ignore[no-untyped-call]
    return total


class SharedBatchNorm(_BatchNorm):
    """A batch normalisation that took the parameters and buffers of a plain one. In eval mode it is the same."""

    def __init__(self, plain: _BatchNorm, group: Group) -> None:
        super().__init__(plain.num_features, plain.eps, plain.momentum, plain.affine, plain.track_running_stats)
        self.group = group
        self._parameters.update(plain._parameters)
        self._buffers.update(plain._buffers)
        self.training = plain.training

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions behind the channels."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, …) by mean and biased variance of each channel, summed over all but C and all workers."""
        if not self.training and self.track_running_stats:
            return super().forward(input)
        x = input.float()
        over = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        count = torch.tensor([float(x.numel() // x.shape[1])], device=x.device)
        sums = _sum(torch.cat([x.sum(over), count]), self.group)
        total = sums[-1].detach()
        mean_C = sums[:-1] / total
        centred = x - mean_C.view(shape)
        var_C = _sum(centred.square().sum(over), self.group) / total
        if self.track_running_stats:
            self._remember(mean_C.detach(), var_C.detach(), total / self.group.copies)
        out: Tensor = centred * (var_C + self.eps).rsqrt().view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean_C: Tensor, var_C: Tensor, count: Tensor) -> None:
        """Move the running statistics; the running variance is the unbiased one of ``count`` values."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        factor = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(mean_C, factor)
        self.running_var.lerp_(var_C * count / (count - 1), factor)


def synchronize_batchnorm(network: nn.Module, group: Group) -> None:
    """Let every batch normalisation of a network see the whole group's batch; nothing where a worker is alone.

    Raises:
        ValueError: where a network has a batch normalisation of another kind.
    """
    if group.size == 1:
        return
    for name, module in list(network.named_modules()):
        if type(module) in PLAIN:
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, SharedBatchNorm(module, group))
        elif isinstance(module, _BatchNorm) and not isinstance(module, SharedBatchNorm):
            raise ValueError(f"several workers cannot share the statistics of {type(module).__name__} ({name}); set workers: 1")
