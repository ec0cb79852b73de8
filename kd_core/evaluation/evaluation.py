"""The interface of an evaluation: what is asked of a finished student besides its accuracy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from kd_core.knobs import Knobs

if TYPE_CHECKING:
    from kd_core.data.splits import Splits
    from kd_core.models.network import Network
    from kd_core.training.evaluate import Predict


@dataclass(frozen=True)
class Subject:
    """A trained student in eval mode; ``predict`` gives the logits that count, from normalised images."""

    network: Network
    predict: Predict
    device: str


class Evaluation(ABC):
    """A question with its knobs. Raise ``version`` when a change of code changes answers.

    Its numbers are fractions in [0, 1] of which more is better, but for those in ``unscaled`` and in ``less_is_better``.
    """

    Config: ClassVar[type[Knobs]]
    version: ClassVar[int] = 1
    unscaled: ClassVar[frozenset[str]] = frozenset()
    less_is_better: ClassVar[frozenset[str]] = frozenset()

    @staticmethod
    @abstractmethod
    def numbers(config: Any) -> tuple[str, ...]:
        """The names of what :meth:`run` answers, in its order."""

    @staticmethod
    @abstractmethod
    def run(subject: Subject, splits: Splits, config: Any) -> dict[str, float]:
        """Named numbers. ``splits`` are the student's own data, or those of ``config.data`` where it has such a knob."""
