"""What trainings share: the optimiser of a recipe, its state as named tensors, an average of the weights, means of an epoch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

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


class Optimizer(ABC):
    """Steps of a recipe on parameters that lie where they will stay. The loss of a group is the sum of its workers' losses."""

    def __init__(self, parameters: Iterable[nn.Parameter], recipe: Recipe, group: Group = ALONE) -> None:
        self.parameters = list(parameters)
        self.recipe = recipe
        self.group = group
        self.lr = recipe.lr  # of the last step

    def step(self, terms: Mapping[str, Tensor], epoch: float, weight: float = 1.0) -> None:
        """One step down the gradient of the sum of the ``terms`` of a loss, times ``weight``, at a point of the training in
        epochs. What has no gradient stays."""
        self.lr = self.recipe.lr_at(epoch)
        for parameter in self.parameters:
            parameter.grad = None
        self._differentiate(terms, weight)
        with torch.no_grad():
            self._move()

    def _differentiate(self, terms: Mapping[str, Tensor], weight: float) -> None:
        """Leave the gradients of all workers at the parameters."""
        (torch.stack(tuple(terms.values())).sum() * weight).backward()
        self.group.sum([each.grad for each in self.parameters if each.grad is not None])
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)

    def decay_of(self, parameter: nn.Parameter) -> float:
        """The weight decay of a parameter."""
        return self.recipe.weight_decay if self.recipe.decay_all or parameter.ndim > 1 else 0.0

    @abstractmethod
    def _move(self) -> None:
        """Move every parameter that has a gradient."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that a checkpoint needs besides the parameters."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the state that is among ``tensors``."""


def laid_out(tensor: Tensor, parameter: nn.Parameter) -> Tensor:
    """A copy where the parameter lies, and laid out as it: torch's fused steps go over memory and do not look at strides."""
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)


class WithMomenta(Optimizer):
    """One that keeps momenta, each of the parameters in their order."""

    names: ClassVar[tuple[str, ...]] = ("momentum",)

    def __init__(self, parameters: Iterable[nn.Parameter], recipe: Recipe, group: Group = ALONE) -> None:
        super().__init__(parameters, recipe, group)
        self._momenta: dict[str, list[Tensor | None]] = {name: [None] * len(self.parameters) for name in self.names}

    def state(self) -> dict[str, Tensor]:
        return {
            f"{name}.{position}": buffer
            for name, buffers in self._momenta.items()
            for position, buffer in enumerate(buffers)
            if buffer is not None
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for name, buffers in self._momenta.items():
            for position, parameter in enumerate(self.parameters):
                if (buffer := tensors.get(f"{name}.{position}")) is not None:
                    buffers[position] = laid_out(buffer, parameter)


class SGD(WithMomenta):
    """This is torch's own SGD as a function: its class would import torch's compiler, more than a second in every process."""

    def _move(self) -> None:
        recipe, [buffers] = self.recipe, self._momenta.values()
        moved: dict[tuple[float, bool], list[int]] = {}  # by decay, and whether it has moved before: torch takes all or none
        for position, each in enumerate(self.parameters):
            if each.grad is not None:
                moved.setdefault((self.decay_of(each), buffers[position] is None), []).append(position)
        for (decay, _), positions in moved.items():
            parameters: list[Tensor] = [self.parameters[position] for position in positions]
            momentum = [buffers[position] for position in positions]
            sgd(
                parameters,
                [each.grad for each in parameters if each.grad is not None],
                momentum,
                fused=True,
                lr=self.lr,
                momentum=recipe.momentum,
                weight_decay=decay,
                nesterov=recipe.nesterov,
                dampening=0,
                maximize=False,
                has_sparse_grad=False,
            )
            for position, buffer in zip(positions, momentum, strict=True):
                buffers[position] = buffer


TASK = "ce"  # the term of a loss that is the labels'


class DOT(WithMomenta):
    """Distillation-oriented trainer (Zhao et al. 2023, arXiv 2307.08436): SGD whose momentum is μ − Δ for the gradient of the
    labels' loss and μ + Δ for that of distillation, which so leads. What only one of them moves, as an adapter, has μ. The
    weight decay goes with the labels' loss, or where there is only the other.
    """

    names = ("momentum", "distillation")  # of the task first

    def __init__(self, parameters: Iterable[nn.Parameter], recipe: Recipe, group: Group = ALONE) -> None:
        super().__init__(parameters, recipe, group)
        self._gradients: dict[str, list[Tensor | None]] = {}

    def _differentiate(self, terms: Mapping[str, Tensor], weight: float) -> None:
        task = [term for name, term in terms.items() if name == TASK]
        others = [term for name, term in terms.items() if name != TASK]
        self._gradients = {
            "distillation": self._gradients_of(others, weight, retain=bool(task)),
            "momentum": self._gradients_of(task, weight),
        }

    def _gradients_of(self, terms: list[Tensor], weight: float, retain: bool = False) -> list[Tensor | None]:
        if not terms:
            return [None] * len(self.parameters)
        loss = torch.stack(terms).sum() * weight
        found = torch.autograd.grad(loss, self.parameters, retain_graph=retain, allow_unused=True)
        gradients: list[Tensor | None] = list(found)
        self.group.sum([each for each in gradients if each is not None])
        return gradients

    def _move(self) -> None:
        recipe = self.recipe
        steps: list[tuple[nn.Parameter, Tensor]] = []
        for name, sign in (("momentum", -1), ("distillation", 1)):
            other = self._gradients["distillation" if name == "momentum" else "momentum"]
            for position, (parameter, gradient) in enumerate(zip(self.parameters, self._gradients[name], strict=True)):
                if gradient is None:
                    continue
                alone = other[position] is None
                if alone or name == "momentum":
                    gradient = gradient.add(parameter, alpha=self.decay_of(parameter))
                buffer = self._momenta[name][position]
                kept = recipe.momentum + (0 if alone else sign * recipe.delta)
                moved = gradient.clone() if buffer is None else buffer.mul_(kept).add_(gradient)
                self._momenta[name][position] = moved
                steps.append((parameter, moved))
        for parameter, moved in steps:
            parameter.add_(moved, alpha=-self.lr)


class FromTorch(Optimizer):
    """Optimisers of ``torch.optim``, each with the parameters that are its own."""

    def __init__(self, parameters: Iterable[nn.Parameter], recipe: Recipe, group: Group = ALONE) -> None:
        super().__init__(parameters, recipe, group)
        name = recipe.optimizer
        of_matrices = [each for each in self.parameters if name == "muon" and each.ndim == 2]
        known = {id(each) for each in of_matrices}
        others = [each for each in self.parameters if id(each) not in known]
        settings: dict[str, Any] = {"lr": recipe.lr, "betas": recipe.betas, "eps": recipe.epsilon}
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        self._optimizers: list[torch.optim.Optimizer] = [kind(self._groups(others), **settings)] if others else []
        if of_matrices:
            # its steps as long as AdamW's, so that one learning rate fits both
            muon: dict[str, Any] = {"lr": recipe.lr, "momentum": recipe.momentum, "nesterov": recipe.nesterov}
            self._optimizers.append(torch.optim.Muon(self._groups(of_matrices), adjust_lr_fn="match_rms_adamw", **muon))

    def _groups(self, parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
        decays = dict.fromkeys(map(self.decay_of, parameters))
        return [
            {"params": [each for each in parameters if self.decay_of(each) == decay], "weight_decay": decay} for decay in decays
        ]

    def _move(self) -> None:
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.lr
            optimizer.step()

    def _named(self) -> Iterator[tuple[str, torch.optim.Optimizer, nn.Parameter]]:
        places = {id(each): position for position, each in enumerate(self.parameters)}
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                for each in group["params"]:
                    yield f"optimizer.{places[id(each)]}.", optimizer, each

    def state(self) -> dict[str, Tensor]:
        return {
            prefix + name: value
            for prefix, optimizer, each in self._named()
            for name, value in optimizer.state[each].items()
            if isinstance(value, Tensor)
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for prefix, optimizer, each in self._named():
            for name in (name for name in tensors if name.startswith(prefix)):
                kept = tensors[name]  # torch keeps the number of steps, which has no dimension, on the CPU
                optimizer.state[each][name.removeprefix(prefix)] = kept if kept.ndim == 0 else laid_out(kept, each)


def optimizer_of(parameters: Iterable[nn.Parameter], recipe: Recipe, group: Group = ALONE) -> Optimizer:
    """The recipe's optimiser."""
    kinds: dict[str, type[Optimizer]] = {"sgd": SGD, "dot": DOT}
    return kinds.get(recipe.optimizer, FromTorch)(parameters, recipe, group)


class Average:
    """An exponential moving average of tensors, each step: a ← decay · a + (1 − decay) · value. What is no float is taken as
    it is. The decay of the first steps is less, (1 + n) / (10 + n) after n of them, so that what training began from is soon
    forgotten.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {}
        self.steps = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """The values after a step."""
        if not self.tensors:
            self.tensors = {name: value.detach().clone() for name, value in values.items()}
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for name, value in values.items():
                if value.is_floating_point():
                    self.tensors[name].lerp_(value, share)
                else:
                    self.tensors[name].copy_(value)

    def state(self) -> dict[str, Tensor]:
        """All that a checkpoint needs."""
        steps = {"average_steps": torch.tensor(self.steps)} if self.tensors else {}
        return {f"average.{name}": value for name, value in self.tensors.items()} | steps

    def restore(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Take up the state that is among ``tensors``."""
        found = {name.removeprefix("average."): value for name, value in tensors.items() if name.startswith("average.")}
        self.tensors = {name: value.to(device) for name, value in found.items()}
        self.steps = int(tensors["average_steps"].item()) if found else 0


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
