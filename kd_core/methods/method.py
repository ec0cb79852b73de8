"""The interface of a distillation method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kd_core.knobs import Knobs
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import nn
from kd_core.methods.selection import ProbeSelection
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor


class Method(ABC):
    """A loss over what the student and its frozen teachers say of a batch.

    A method is written in one file: citation and formula, its ``Config``, and :meth:`forward`. Trainable parts (adapters,
    memories) go into ``self.own``; the training loop moves them to the device, optimises and checkpoints them with the
    student and drops them after. Raise ``version`` when a change of code changes results: it is part of every job's key.
    """

    Config: ClassVar[type[Knobs]]
    version: ClassVar[int] = 1
    exempt: ClassVar[Mapping[str, str]] = {}  # laws (kd_core.laws.methods) that do not hold for it, each with the reason

    def __init__(self, config: Any, setting: Setting) -> None:
        self.config = config
        self.setting = setting
        self.own: nn.Module = nn.ModuleDict()

    @staticmethod
    @abstractmethod
    def needs(config: Any) -> frozenset[Need]:
        """What the teachers must say for this config; empty for a method without teachers."""

    @staticmethod
    def selection(config: Any) -> ProbeSelection | None:
        """How linear classifier probes choose its teachers for this config; None where they have no say."""
        return None

    @staticmethod
    def mixable(config: Any) -> bool:
        """Whether its loss means what it says for images that are mixed with one another (mixup, cutmix)."""
        return True

    @abstractmethod
    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        """The loss terms of a batch. ``progress`` is epoch / epochs, in [0, 1)."""

    def trainable(self) -> Iterator[nn.Parameter]:
        """Parameters of the method that the student's optimiser trains."""
        return self.own.parameters()

    def predict(self, student: Knowledge) -> Tensor:
        """The logits that count at evaluation (BK); differs from the student's own only where the method replaces its head."""
        return student.logits_BK
