"""What a method is built from, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kd_core.knowledge import NetworkShape
    from kd_core.methods.modules.analyser import Analyser


@dataclass(frozen=True)
class Setting:
    """All that a method is built from, besides its config."""

    student: NetworkShape
    teachers: tuple[NetworkShape, ...]
    labels_N: Tensor  # of the training split
    probes: tuple[tuple[float, ...], ...] = ()  # LCP validation accuracy in [0, 1] of (teacher, teacher's stage)
    heads: tuple[nn.Module, ...] = ()  # frozen classifiers of the teachers: BD to BK
    analysers: tuple[Analyser, ...] = ()  # frozen, of each teacher


@dataclass(frozen=True)
class Loss:
    """What a method answers: scalar loss terms, weighted, whose sum is minimised, and scalars worth a curve (detached)."""

    terms: dict[str, Tensor]
    curves: dict[str, Tensor] = field(default_factory=dict)
