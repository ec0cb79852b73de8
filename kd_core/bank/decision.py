"""Whether a student reads from banks: a function of the student alone, since it is part of its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kd_core.bank.config import BankConfig
from kd_core.bank.storage import GIB, KEPT
from kd_core.data.table import DataConfig
from kd_core.knowledge import ONCE, Need
from kd_core.losses import match_stages
from kd_core.models.info import ModelInfo
from kd_core.recipe import Recipe


def why_live(
    needs: Iterable[Need],
    data: DataConfig,
    recipe: Recipe,
    config: BankConfig,
    student: ModelInfo,
    teachers: Sequence[ModelInfo],
    softened: float | None = None,
) -> str | None:
    """Why a student with these needs and this recipe asks its teachers in every step; None: it reads from banks.

    A function of the student alone, not of the grid around it. ``auto`` wants filling the banks to cost no more than asking
    live would (views × kinds ≤ epochs × ``shared_by``), and the student's banks together to stay under the limit; ``on`` only
    the limit. ``softened``: the temperature of the softmax that is all it takes of logits.
    """
    kinds = set(needs) - ONCE
    if config.mode == "off":
        return "banks are off"
    if not kinds <= KEPT:
        return "whole feature maps are not kept in banks"
    if recipe.mixes:
        return "mixed images have no end"
    if not data.views:
        return "drawn views have no end, without data.draws"
    if Need.ATTENTION in kinds and not all(maps_suffice(student, teacher, data.info.size) for teacher in teachers):
        return "banks keep attention maps at the teacher's size, which some stage of the student exceeds"
    if Need.LOGITS in kinds and config.cuts(data) and softened is None:
        kept = f"{config.top} of {data.info.classes} logits"
        return f"bank.top keeps {kept}, and its method takes more of them than a softmax at one temperature"
    size = student_bytes(kinds, data, config, teachers, softened) / GIB
    if size > config.limit_gib:
        return f"its banks would take {size:.3g} GiB, more than bank.limit_gib"
    fill, seen = data.views * len(kinds), recipe.epochs * config.shared_by
    if config.mode == "auto" and seen < fill:
        who = f"{recipe.epochs} epochs" if config.shared_by == 1 else f"{recipe.epochs} epochs of {config.shared_by} students"
        return f"filling its banks takes {fill} views of each image, more than the {seen} that {who} see"
    return None


def student_bytes(
    kinds: Iterable[Need], data: DataConfig, config: BankConfig, teachers: Sequence[ModelInfo], softened: float | None
) -> int:
    """Bytes of all the banks that a student of these teachers reads."""
    storages = {need: config.storage(need, data, softened) for need in kinds}
    return sum(storage.bank_bytes(need, data, teacher) for need, storage in storages.items() for teacher in teachers)


def maps_suffice(student: ModelInfo, teacher: ModelInfo, size: int) -> bool:
    """Whether a teacher's attention maps, as a bank keeps them, have the sizes at which a student is compared with them: no
    stage of the student is smaller than the one of the teacher that it learns from. Of networks whose strides are not known
    it is not known either."""
    own, others = ([(size // stride,) * 2 for stride in info.strides] for info in (student, teacher))
    if not own or not others:
        return False
    matches = match_stages(tuple(own), tuple(others))
    return all(others[match] <= own[stage] for stage, match in enumerate(matches))
