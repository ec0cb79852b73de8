"""What methods share that compare a second, strongly augmented view of every image with the first. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kd_core.data.table import POLICY_NAMES
from kd_core.knobs import Knobs, knob
from kd_core.knowledge import Need
from kd_core.methods.method import Method

STRONG = tuple(name for name in POLICY_NAMES if name != "none")


@dataclass(frozen=True)
class SecondView(Knobs):
    """How the second view is augmented, on top of the data's own crop and flip."""

    policy: str = knob("randaugment", "of the second view: a policy of operations, torchvision's", choices=STRONG)
    erasing: float = knob(0.5, "of the second view: chance that a box is blackened", low=0, high=1)

    @property
    def further_views(self) -> tuple[Mapping[str, Any], ...]:
        """In what its augmentation differs from the data's: knobs of :class:`kd_core.data.table.DataConfig`."""
        return ({"policy": self.policy, "erasing": self.erasing, "draws": None},)


class OfTwoViews(Method):
    """A method of logits that compares the two views image by image, so that images cannot be mixed."""

    config: SecondView

    @staticmethod
    def needs(config: SecondView) -> frozenset[Need]:
        return frozenset({Need.LOGITS})

    @staticmethod
    def mixable(config: SecondView) -> bool:
        return False

    @staticmethod
    def further_views(config: SecondView) -> tuple[Mapping[str, Any], ...]:
        return config.further_views
