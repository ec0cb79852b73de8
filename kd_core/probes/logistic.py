"""Multinomial logistic regression with an L2 penalty, solved to convergence in float64.

    minimise over W, b:   1/N Σ_n CE(W'x_n + b, y_n) + ‖W‖² / (2·C·N)

which is scikit-learn's objective divided by C·N; the bias is not penalised. Of two classes scikit-learn penalises
‖w₁ − w₂‖², twice what the symmetric pair w₁ = −w₂ has here; so the penalty counts twice then.

The solver is line-search Newton-CG on the full batch (Nocedal & Wright, Numerical Optimization, 2nd edition, algorithm 7.1),
deterministic from zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Fit:
    """A solution, with what there is to say about it."""

    weights_CK: Tensor
    bias_K: Tensor
    objective: float
    gradient: float  # its largest component
    iterations: int  # Newton steps
    converged: bool

    def logits(self, features_NC: Tensor) -> Tensor:
        """NK, float64."""
        return features_NC.double() @ self.weights_CK + self.bias_K


def fit(features_NC: Tensor, labels_N: Tensor, classes: int, *, C: float, tolerance: float, max_iterations: int) -> Fit:
    """Solve until no component of the gradient exceeds ``tolerance``.

    It ends unconverged after ``max_iterations``, or where float64 allows no further descent.
    """
    penalty = (2 if classes == 2 else 1) / (C * len(features_NC))
    problem = _Problem(features_NC.double(), labels_N, classes, penalty)
    point, iterations = problem.origin(), 0
    while True:
        gradient_XK = problem.gradient(point)
        largest = max(part.abs().max().item() for part in problem.original(gradient_XK))
        if largest <= tolerance or iterations == max_iterations:
            break
        norm = gradient_XK.norm().item()
        accuracy = max(min(0.5, norm**0.5) * norm, tolerance / 2)  # no step need be better than the end
        step_XK = conjugate_gradients(problem.hessian(point), -gradient_XK, problem.diagonal(point), accuracy)
        following = problem.line_search(point, step_XK, slope=(gradient_XK * step_XK).sum().item())
        if following is None:
            break
        point, iterations = following, iterations + 1
    weights_CK, bias_K = problem.original(point.weights_XK)
    return Fit(weights_CK, bias_K - bias_K.mean(), point.value, largest, iterations, largest <= tolerance)


@dataclass(frozen=True)
class _Point:
    weights_XK: Tensor
    logits_NK: Tensor
    value: float


class _Problem:
    """The objective on the principal axes of the features, the bias being the weight of one more, constant, input (X = C + 1).

    On these axes the Hessian's block of a class is close to diagonal, which is what preconditions the conjugate gradients.
    """

    def __init__(self, features_NC: Tensor, labels_N: Tensor, classes: int, penalty: float) -> None:
        variances_C, self.axes_CC = torch.linalg.eigh(features_NC.T @ features_NC / len(features_NC))
        self.inputs_NX = F.pad(features_NC @ self.axes_CC, (0, 1), value=1)
        self.variances_X1 = F.pad(variances_C.clamp_min(0), (0, 1), value=1)[:, None]
        self.penalty_X1 = F.pad(torch.full_like(variances_C, penalty), (0, 1))[:, None]
        self.labels_N, self.classes = labels_N, classes

    def original(self, weights_XK: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (or a gradient) for the features as they were given, and the bias."""
        return self.axes_CC @ weights_XK[:-1], weights_XK[-1]

    def origin(self) -> _Point:
        weights_XK = self.inputs_NX.new_zeros(self.inputs_NX.shape[1], self.classes)
        return self._at(weights_XK, self.inputs_NX @ weights_XK)

    def _at(self, weights_XK: Tensor, logits_NK: Tensor) -> _Point:
        value = F.cross_entropy(logits_NK, self.labels_N) + (self.penalty_X1 * weights_XK.square()).sum() / 2
        return _Point(weights_XK, logits_NK, value.item())

    def _back(self, logits_NK: Tensor, weights_XK: Tensor) -> Tensor:
        return self.inputs_NX.T @ logits_NK / len(self.inputs_NX) + self.penalty_X1 * weights_XK

    def gradient(self, point: _Point) -> Tensor:
        """X'(p − 1_y)/N + λW."""
        residual_NK = point.logits_NK.softmax(1) - F.one_hot(self.labels_N, self.classes)
        return self._back(residual_NK, point.weights_XK)

    def hessian(self, point: _Point) -> Callable[[Tensor], Tensor]:
        """V ↦ X'(p ∘ (XV − Σ_k p_k (XV)_k))/N + λV."""
        chances_NK = point.logits_NK.softmax(1)

        def product(direction_XK: Tensor) -> Tensor:
            moved_NK = (self.inputs_NX @ direction_XK).mul_(chances_NK)
            moved_NK.addcmul_(chances_NK, moved_NK.sum(1, keepdim=True), value=-1)
            return self._back(moved_NK, direction_XK)

        return product

    def diagonal(self, point: _Point) -> Tensor:
        """About the Hessian's diagonal (XK): the variance along the axis times the mean of p·(1 − p), plus λ."""
        chances_NK = point.logits_NK.softmax(1)
        return self.variances_X1 * (chances_NK * (1 - chances_NK)).mean(0) + self.penalty_X1

    def line_search(self, point: _Point, step_XK: Tensor, slope: float) -> _Point | None:
        """The first of the points at 1, ½, ¼, … of a step that lies low enough (Armijo); None where float64 sees none."""
        moved_NK = self.inputs_NX @ step_XK
        for halvings in range(30):
            length = 0.5**halvings
            reached = self._at(point.weights_XK + length * step_XK, point.logits_NK + length * moved_NK)
            if reached.value < point.value + 1e-4 * length * slope:
                return reached
        return None


def conjugate_gradients(
    product: Callable[[Tensor], Tensor], target: Tensor, diagonal: Tensor, accuracy: float, limit: int = 1000
) -> Tensor:
    """x with ‖A·x − target‖ ≤ accuracy, or after ``limit`` steps; A, positive semidefinite, is given by its product with x.

    ``diagonal``, near A's own, preconditions.
    """
    x, residual = torch.zeros_like(target), target
    direction, energy = torch.zeros_like(target), torch.inf
    for _ in range(limit):
        conditioned = residual / diagonal
        before, energy = energy, (residual * conditioned).sum().item()
        direction = conditioned + energy / before * direction
        image = product(direction)
        length = energy / (direction * image).sum().item()
        x, residual = x + length * direction, residual - length * image
        if residual.norm() <= accuracy:
            break
    return x
