"""Knobs of the linear classifier probes. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, knob


@dataclass(frozen=True)
class ProbeConfig(Knobs):
    """A multinomial logistic regression per layer (Alain & Bengio 2016, arXiv 1610.01644)."""

    C: float = knob(1.0, "inverse strength of the L2 penalty, as in scikit-learn", above=0)
    max_iterations: int = knob(100, "limit of Newton steps", low=1)
    tolerance: float = knob(1e-4, "largest gradient component at convergence, of the mean loss", above=0)
