"""The knowledge bank: what a frozen teacher says about every view that a student can see.

Standard augmentation has few views (pad 4, crop and flip: 81 × 2 = 162), so (teacher, image, view) names a value that all
students of a grid share. The bank is computed once and memory-mapped by every trial; values are float32, exactly what the
teacher said. What is too large, or would be asked for fewer times than it has views, is computed live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kd_core.data.table import DataConfig
from kd_core.knowledge import ABSENT, ONCE, Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import match_stages
from kd_core.models.info import ModelInfo
from kd_core.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from kd_core.data.splits import Splits
    from kd_core.models.network import Network

KEPT = frozenset({Need.LOGITS, Need.EMBEDDING, Need.ATTENTION})
LARGEST_EMBEDDING = 2048  # D of the widest common network; the size is only known once the network is built

Source = Callable[[Batch], Knowledge]


def why_live(needs: Iterable[Need], data: DataConfig, recipe: Recipe, mode: str, limit_gib: float) -> str | None:
    """Why a student with these needs and this recipe asks its teachers in every step; None: it reads from banks.

    A function of the student alone, not of the grid around it, since it is part of the student's key. ``auto`` wants
    every view to be seen once on average (epochs ≥ views) and each bank to stay under the limit; ``on`` only the limit.
    """
    kinds = set(needs) - ONCE
    if mode == "off":
        return "banks are off"
    if not kinds <= KEPT:
        return "whole feature maps are not kept in banks"
    if recipe.mixes:
        return "mixed images have no end"
    if not data.views:
        return "drawn views have no end, without data.draws"
    if mode == "auto" and recipe.epochs < data.views:
        return f"an image has {data.views} views, more than the {recipe.epochs} epochs would see"
    largest = max(data.images * data.views * floats(need, data) * 4 for need in kinds) / 2**30
    return f"a bank of up to {largest:.3g} GiB is above bank.limit_gib" if largest > limit_gib else None


def maps_suffice(student: ModelInfo, teacher: ModelInfo, size: int) -> bool:
    """Whether a teacher's attention maps, as a bank keeps them, have the sizes at which a student is compared with them: no
    stage of the student is smaller than the one of the teacher that it learns from. Of networks whose strides are not known
    it is not known either."""
    own, others = ([(size // stride,) * 2 for stride in info.strides] for info in (student, teacher))
    if not own or not others:
        return False
    matches = match_stages(tuple(own), tuple(others))
    return all(others[match] <= own[stage] for stage, match in enumerate(matches))


def floats(need: Need, data: DataConfig) -> int:
    """Numbers kept of one view of one image, from above: attention maps halve in size from stage to stage."""
    upper = {Need.LOGITS: data.info.classes, Need.EMBEDDING: LARGEST_EMBEDDING, Need.ATTENTION: data.info.size**2 * 4 // 3}
    return upper[need]


def tensors_of(knowledge: Knowledge, need: Need) -> dict[str, Tensor]:
    """The tensors of a kind of knowledge, by name."""
    if need == Need.LOGITS:
        return {"logits": knowledge.logits_BK}
    if need == Need.EMBEDDING:
        return {"embedding": knowledge.embedding_BD}
    return {f"attention{stage}": knowledge.attention_BHW(stage) for stage in range(knowledge.stages)}


def fill(network: Network, splits: Splits, need: Need, device: str, batch_size: int = 512) -> dict[str, Tensor]:
    """What ``network`` says of every view of every training image: tensors (V, N, …) of float32 on the CPU."""
    from kd_core.data.batches import view_batches

    network = network.to(device).eval()
    views, count = splits.augmentation.views, len(splits.train)
    kept: dict[str, Tensor] = {}
    with torch.inference_mode():
        for view in range(views):
            for batch in view_batches(splits, view, batch_size, device):
                for name, value in tensors_of(network.observe(batch.images_BCHW), need).items():
                    if name not in kept:
                        kept[name] = torch.empty((views, count, *value.shape[1:]), dtype=torch.float32)
                    kept[name][view, batch.indices_B.cpu()] = value.float().cpu()
    return kept


class Bank:
    """A teacher that speaks from memory-mapped files.

    Args:
        files: one safetensors file per kind of knowledge, as :func:`fill` gave it.
    """

    def __init__(self, files: Iterable[Path], device: str) -> None:
        from safetensors.torch import load_file

        self.kept: dict[str, Tensor] = {}
        for file in files:
            self.kept.update(load_file(file))  # on the CPU this maps the file; pages are read as they are asked for
        self.device = device
        self.stages = sum(name.startswith("attention") for name in self.kept)

    def __call__(self, batch: Batch) -> Knowledge:
        views, indices = batch.views_B.cpu(), batch.indices_B.cpu()
        tensors = {name: value[views, indices].to(self.device) for name, value in self.kept.items()}
        maps = tuple(tensors[f"attention{stage}"] for stage in range(self.stages))
        return Knowledge(logits_BK=tensors.get("logits", ABSENT), embedding_BD=tensors.get("embedding", ABSENT), maps=maps)


class Live:
    """A teacher that is asked: one forward pass a batch, whatever the number of loss terms that use it."""

    def __init__(self, network: Network, device: str, needs: frozenset[Need] = frozenset()) -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.more = {"before": True} if Need.BEFORE in needs else {}

    def __call__(self, batch: Batch) -> Knowledge:
        with torch.no_grad():
            return self.network.observe(batch.images_BCHW, **self.more)
