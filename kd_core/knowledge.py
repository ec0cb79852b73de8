"""What a network says on a batch, and the batch it speaks of.

Shapes, everywhere in this package: B samples of a batch, N samples of a split, K classes, M teachers, L stages, C channels,
H × W spatial size, P = H·W positions (of tokens one more, the class token), D dimension of the embedding or of a token.

What a stage says of an image is a feature map (C, H, W) or, of a transformer with a class token, tokens (P, D): the class
token, and then those of the patches, row by row. Tokens without a class token are the map that they are.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

ABSENT: Any = None  # a field that nobody needed


class Side(enum.StrEnum):
    """Who says something to a method."""

    STUDENT = "student"
    TEACHER = "teacher"


class Need(enum.StrEnum):
    """What a method wants to know of its teachers. The first three are small enough for the knowledge bank."""

    LOGITS = "logits"
    EMBEDDING = "embedding"
    ATTENTION = "attention"
    FEATURES = "features"  # whole feature maps: always computed live
    BEFORE = "before"  # the same before the activation in which each stage ends: always computed live; the student says it too
    PROBES = "probes"  # LCP accuracies, once for the training
    HEADS = "heads"  # the teachers' frozen classifiers, once for the training
    ANALYSES = "analyses"  # the teachers' frozen analysers, once for the training


MAPPED = frozenset({Need.ATTENTION, Need.FEATURES, Need.BEFORE})  # what stages say, in the order of their positions
ONCE = frozenset({Need.PROBES, Need.HEADS, Need.ANALYSES})  # what the teachers do not say anew of every batch


@dataclass(frozen=True)
class Knowledge:
    """One network on one batch; student and teacher alike. A field that nobody needed is absent.

    Where a batch shows its images under several views, this is of the first, and ``others`` what the same network says of the
    rest, in their order.
    """

    logits_BK: Tensor = ABSENT
    features: tuple[Tensor, ...] = ()  # maps BCHW or tokens BPD, one per stage, shallow to deep
    embedding_BD: Tensor = ABSENT  # pooled, penultimate
    last_BCHW: Tensor = ABSENT  # the feature map whose mean over positions is the embedding, where a network has one
    head: Any = ABSENT  # of a student: its classifier, BD to BK (a torch.nn.Linear), which it trains
    before: tuple[Tensor, ...] = ()  # BCHW, the features before the activation that each stage ends in
    maps: tuple[Tensor, ...] = ()  # BHW, attention maps where the bank has kept them instead of the features
    others: tuple[Knowledge, ...] = ()  # of the batch's other views

    @property
    def stages(self) -> int:
        """L, the number of stages that this knowledge speaks of."""
        return len(self.maps or self.features)

    @property
    def pooled_BCHW(self) -> Tensor:
        """The feature map whose mean over positions is the embedding: of a network that has none, the embedding, as 1 × 1."""
        return self.embedding_BD[:, :, None, None] if self.last_BCHW is ABSENT else self.last_BCHW

    def size(self, stage: int) -> tuple[int, int]:
        """(H, W) of a stage's map."""
        height, width = (self.maps or self.features)[stage].shape[-2:]
        return height, width

    def attention_BHW(self, stage: int) -> Tensor:
        """Spatial attention of a stage: its map squared and averaged over channels, not yet normalised.

        Zagoruyko & Komodakis 2017, arXiv 1612.03928, section 3.1 (F²_sum up to a constant).
        """
        if self.maps:
            return self.maps[stage]
        return self.features[stage].square().mean(1)


@dataclass(frozen=True)
class Batch:
    """The samples of one step.

    ``indices_B`` are positions in the training split and ``views_B`` the ids of their augmented views: together they name
    the image exactly, so that a memory or a bank needs no loader of its own. Where images are ``mixed``, they name its first
    part, as ``labels_B`` does. ``others`` are the same samples under further views, where a method asks for such. The loss of
    the labels is :func:`kd_core.losses.label_loss`, which heeds ``smoothing`` and ``mixed``.
    """

    images_BCHW: Tensor
    labels_B: Tensor
    indices_B: Tensor
    views_B: Tensor
    epoch: int
    smoothing: float = 0.0  # share of every label that is spread over all classes
    mixed: tuple[Tensor, Tensor] | None = None  # the labels B of the second part of every image, and the share of the first
    others: tuple[Batch, ...] = ()


@dataclass(frozen=True)
class NetworkShape:
    """The sizes of what a network says."""

    stages: tuple[tuple[int, ...], ...]  # (C, H, W) or (P, D) of each stage, shallow to deep
    embedding: int  # D
    classes: int  # K

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Spatial size (H, W) of each stage."""
        return tuple(map(spatial_size, self.stages))


def spatial_size(stage: Sequence[int]) -> tuple[int, int]:
    """(H, W) of a stage's map (C, H, W), or of the patches of its tokens (P, D)."""
    if len(stage) == 3:
        return stage[1], stage[2]
    side = math.isqrt(stage[0] - 1)
    return side, side
