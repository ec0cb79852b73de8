"""What trainings share: SGD by a recipe, its state as named tensors, and the means of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from kd_core.distributed import ALONE, Group
from kd_core.recipe import Recipe


class Diverged(RuntimeError):
    """The loss is not a finite number any more."""

    def __init__(self, epoch: int, terms: dict[str, float]) -> None:
        named = ", ".join(f"{name} = {value:g}" for name, value in terms.items())
        super().__init__(f"the loss diverged in epoch {epoch}: {named}")
        self.epoch = epoch
        self.terms = terms


class SGD:
    """SGD on parameters that lie where they will stay. The loss of a group is the sum of its workers' losses.

    This is torch's own SGD as a function: its class would import torch's compiler, more than a second in every process.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], recipe: Recipe, group: Group = ALONE) -> None:
        self.parameters = list(parameters)
        self.recipe = recipe
        self.group = group
        self.lr = recipe.lr  # of the last step
        self._momentum: list[Tensor | None] = [None] * len(self.parameters)

    def step(self, loss: Tensor, epoch: float) -> None:
        """One step down the gradient of ``loss``, at a point of the training in epochs."""
        recipe = self.recipe
        self.lr = recipe.lr_at(epoch)
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        moved = [position for position, each in enumerate(self.parameters) if each.grad is not None]
        parameters: list[Tensor] = [self.parameters[position] for position in moved]
        gradients = [each.grad for each in parameters if each.grad is not None]
        momentum = [self._momentum[position] for position in moved]
        self.group.sum(gradients)
        with torch.no_grad():
            sgd(
                parameters,
                gradients,
                momentum,
                fused=True,
                lr=self.lr,
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay,
                nesterov=recipe.nesterov,
                dampening=0,
                maximize=False,
                has_sparse_grad=False,
            )
        for position, buffer in zip(moved, momentum, strict=True):
            self._momentum[position] = buffer

    def state(self) -> dict[str, Tensor]:
        """All that a checkpoint needs besides the parameters."""
        return {f"momentum.{position}": buffer for position, buffer in enumerate(self._momentum) if buffer is not None}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the state that is among ``tensors``."""
        for position, parameter in enumerate(self.parameters):
            if (buffer := tensors.get(f"momentum.{position}")) is not None:
                self._momentum[position] = buffer.to(parameter.device)


class EpochMeans:
    """Means over the samples of an epoch of what its batches give; they stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0.0

    def add(self, values: Mapping[str, Tensor], samples: float) -> None:
        self._count += samples
        for name, value in values.items():
            value = value.double() * samples
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def metrics(self, epoch: int, group: Group = ALONE) -> dict[str, float]:
        """The means over all workers, and as ``loss`` the sum of those that are named ``loss/…``.

        Raises:
            Diverged: where one of these is not finite. ``epoch`` counts from 1.
        """
        if group.size > 1:
            count = torch.full_like(next(iter(self._sums.values())), self._count)
            group.sum([count, *self._sums.values()])
            self._count = count.item()
        means = {name: (value / self._count).item() for name, value in self._sums.items()}
        terms = {name.removeprefix("loss/"): value for name, value in means.items() if name.startswith("loss/")}
        if not all(map(math.isfinite, terms.values())):
            raise Diverged(epoch, terms)
        return {"loss": sum(terms.values()), **means}
