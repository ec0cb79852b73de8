"""A teacher that speaks from what was kept of it.

Standard augmentation has few views (pad 4, crop and flip: 81 × 2 = 162), so (teacher, image, view) names a value that all
students of a grid share. The bank is computed once and read by every trial: from the GPU's memory, where it fits beside the
training, and else from mapped files. Then what the next batch asks for is gathered while the GPU is at work on the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from kd_core.bank.rows import unpacked
from kd_core.bank.source import Source
from kd_core.bank.tables import Mapped, Resident, mapped_parts, room
from kd_core.knowledge import ABSENT, Batch, Knowledge


class Bank:
    """A teacher that speaks from files.

    Args:
        kinds: for each kind of knowledge its files (safetensors, as :func:`kd_core.bank.fill.fill` gave them), in the order of
            their views.
        classes: K.
        room: bytes of the device that it may take; where they are too few, the files are mapped.
    """

    def __init__(self, kinds: Iterable[Sequence[Path]], device: str, classes: int, room: int = 0) -> None:
        parts = mapped_parts(kinds)
        self.size = sum(value.nbytes for part in parts for value in part.values())
        self.resident = self.size <= room
        self.tables = Resident(parts, device) if self.resident else Mapped(parts)
        self.device = torch.device(device)
        self.classes = classes
        self.stages = sum(name.startswith("attention") and "." not in name for name in parts[0])
        self.ahead = not self.resident and self.device.type == "cuda"  # whether gathering keeps the device waiting
        self._coming: dict[int, tuple[Tensor, Future[dict[str, Tensor]]]] = {}  # by the identity of a batch's indices

    def __call__(self, batch: Batch) -> Knowledge:
        _, coming = self._coming.pop(id(batch.indices_B), (None, None))
        rows = coming.result() if coming else self._rows(batch)
        said = unpacked({name: value.to(self.device, non_blocking=True) for name, value in rows.items()}, self.classes)
        maps = tuple(said[f"attention{stage}"] for stage in range(self.stages))
        return Knowledge(logits_BK=said.get("logits", ABSENT), embedding_BD=said.get("embedding", ABSENT), maps=maps)

    def prepare(self, batch: Batch, pool: ThreadPoolExecutor) -> None:
        """Have the rows gathered that a batch, or one of the same indices, will be asked about soon."""
        self._coming[id(batch.indices_B)] = batch.indices_B, pool.submit(self._rows, batch)

    def _rows(self, batch: Batch) -> dict[str, Tensor]:
        if self.resident:
            return self.tables.rows(batch.views_B, batch.indices_B)
        rows = self.tables.rows(batch.views_B.cpu(), batch.indices_B.cpu())
        if self.device.type == "cuda":  # so that the copy waits for nothing
            return {name: value.pin_memory() for name, value in rows.items()}
        return rows


def banks_of(teachers: Iterable[Iterable[Sequence[Path]]], device: str, classes: int, share: float) -> list[Bank]:
    """The banks of teachers, of whose files each has those of all kinds, for a process that has this share of the device. As
    many of them lie on it as there is room for."""
    left = room(device, share)
    found = []
    for kinds in teachers:
        found.append(Bank(kinds, device, classes, left))
        left -= found[-1].size if found[-1].resident else 0
    return found


def gathered_ahead(batches: Iterable[Batch], sources: Iterable[Source]) -> Iterator[Batch]:
    """The batches, one behind the other; banks among the sources that keep the device waiting gather for the next meanwhile."""
    slow = [source for source in sources if isinstance(source, Bank) and source.ahead]
    if not slow:
        yield from batches
        return
    before = None
    with ThreadPoolExecutor(1, "bank") as pool:
        for batch in batches:
            for bank in slow:
                bank.prepare(batch, pool)
            if before is not None:
                yield before
            before = batch
        if before is not None:
            yield before
