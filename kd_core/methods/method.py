"""The interface of a distillation method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from kd_core.knobs import Knobs
from kd_core.knowledge import MAPPED, Batch, Knowledge, Need, Side
from kd_core.lazy import nn
from kd_core.methods.selection import ProbeSelection
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

    from kd_core.models.network import Network


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
    def softened(config: Any) -> float | None:
        """The temperature T, where all that it takes of its teachers' logits is the softmax of them at T; None where it takes
        more. Such a softmax can be kept as its largest probabilities and the mass of the rest (``bank.top``)."""
        return None

    @staticmethod
    def mixable(config: Any) -> bool:
        """Whether its loss means what it says for images that are mixed with one another (mixup, cutmix)."""
        return True

    @staticmethod
    def further_views(config: Any) -> tuple[Mapping[str, Any], ...]:
        """Under which further views it wants to see each image of a batch: for each, in what its augmentation differs from the
        data's own, as knobs of :class:`kd_core.data.table.DataConfig`. What is said of them are a knowledge's ``others``."""
        return ()

    @classmethod
    def maps(cls, config: Any) -> frozenset[Side]:
        """Whose stages must be feature maps, which tokens are not, for this config."""
        return frozenset(Side) if cls.needs(config) & MAPPED else frozenset()

    def listens(self, progress: float) -> bool:
        """Whether it uses what its teachers say at this point of the training; where it does not, they are not asked, and
        :meth:`forward` is given none."""
        return True

    @abstractmethod
    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        """The loss terms of a batch. ``progress`` is epoch / epochs, in [0, 1)."""

    def trainable(self) -> Iterator[nn.Parameter]:
        """Parameters of the method that the student's optimiser trains."""
        return self.own.parameters()

    def logits(self, network: Network, images_BCHW: Tensor) -> Tensor:
        """What :meth:`predict` makes of what a student says of normalised images (BK)."""
        return self.predict(replace(network.observe(images_BCHW), head=network.head))

    def predict(self, student: Knowledge) -> Tensor:
        """The logits that count at evaluation (BK); differs from the student's own only where the method replaces its head."""
        return student.logits_BK
