"""Knobs of the linear classifier probes. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, knob

CLASS, MEAN = "class", "mean"


@dataclass(frozen=True)
class ProbeConfig(Knobs):
    """A multinomial logistic regression per layer (Alain & Bengio 2016, arXiv 1610.01644)."""

    C: float = knob(1.0, "inverse strength of the L2 penalty, as in scikit-learn", above=0)
    max_iterations: int = knob(100, "limit of Newton steps", low=1)
    tolerance: float = knob(1e-4, "largest gradient component at convergence, of the mean loss", above=0)
    data: str = knob(
        "validation",
        "what they are judged on: the validation split, or images of the training split that are held out of the probes "
        "alone (their teacher has seen those)",
        choices=("validation", "train_holdout"),
        later=True,
    )
    holdout: float = knob(0.1, "train_holdout: the share that is held out, stratified by class", above=0, high=0.5, later=True)

    tokens: str = knob(
        CLASS,
        "what stands for the tokens of a transformer's stage: the class token, or the mean of its patches",
        choices=(CLASS, MEAN),
        later=True,
    )

    def conflicts(self) -> list[str]:
        if self.data == "validation" and self.holdout != type(self).holdout:
            return [f"`holdout` belongs to `data` train_holdout, but `data` is {self.data}"]
        return []
