"""What trainings share: SGD by a recipe, its state as named tensors, and the means of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from kd_core.group import ALONE, Group
from kd_core.training.recipe import Recipe


class Diverged(RuntimeError):
    """The loss is not a finite number any more."""

    def __init__(self, epoch: int, terms: dict[str, float]) -> None:
        named = ", ".join(f"{name} = {value:g}" for name, value in terms.items())
        super().__init__(f"the loss diverged in epoch {epoch}: {named}")
        self.epoch = epoch
        self.terms = terms


class Descent:
    """SGD on parameters that lie where they will stay. The loss of a group is the sum of its workers' losses."""

    def __init__(self, parameters: Iterable[nn.Parameter], recipe: Recipe, group: Group = ALONE) -> None:
        self.parameters = list(parameters)
        self.recipe = recipe
        self.group = group
        self.optimizer = torch.optim.SGD(
            self.parameters,
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
            fused=True,
        )

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return self.optimizer.param_groups[0]["lr"]

    def step(self, loss: Tensor, epoch: float) -> None:
        """One step down the gradient of ``loss``, at a point of the training in epochs."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr_at(epoch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.group.sum([each.grad for each in self.parameters if each.grad is not None])
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """All that a checkpoint needs besides the parameters."""
        buffers = (
            (position, self.optimizer.state[each].get("momentum_buffer")) for position, each in enumerate(self.parameters)
        )
        return {f"momentum.{position}": buffer for position, buffer in buffers if buffer is not None}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the state that is among ``tensors``."""
        for position, parameter in enumerate(self.parameters):
            if (buffer := tensors.get(f"momentum.{position}")) is not None:
                self.optimizer.state[parameter]["momentum_buffer"] = buffer.to(parameter.device)


class Means:
    """Means over the samples of an epoch of what its batches tell; they stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0.0

    def add(self, told: Mapping[str, Tensor], samples: float) -> None:
        self._count += samples
        for name, value in told.items():
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
