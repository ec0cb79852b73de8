"""Filling a bank: a teacher is asked for every view of every training image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from kd_core.bank.rows import packed, packed_top
from kd_core.bank.storage import Storage
from kd_core.data.batches import view_batches
from kd_core.knowledge import Knowledge, Need

if TYPE_CHECKING:
    from torch import Tensor

    from kd_core.data.splits import Splits
    from kd_core.models.network import Network

DEFAULT = Storage()


def fill(
    network: Network,
    splits: Splits,
    need: Need,
    device: str,
    storage: Storage = DEFAULT,
    views: range | None = None,
    batch_size: int = 512,
) -> dict[str, Tensor]:
    """What ``network`` says of every training image under every view, or under some: tensors (V, N, …) on the CPU, as they are
    kept."""
    network = network.on(device).eval()
    if views is None:
        views = range(splits.augmentation.views)
    kept: dict[str, Tensor] = {}
    with torch.inference_mode():
        for place, view in enumerate(views):
            for batch in view_batches(splits, view, batch_size, device):
                for name, rows in rows_of(network.observe(batch.images_BCHW), need, storage).items():
                    if name not in kept:
                        kept[name] = torch.empty((len(views), len(splits.train), *rows.shape[1:]), dtype=rows.dtype)
                    kept[name][place, batch.indices_B.cpu()] = rows.cpu()
    return kept


def rows_of(knowledge: Knowledge, need: Need, storage: Storage) -> dict[str, Tensor]:
    """What is kept of a kind of knowledge about a batch, by name."""
    found: dict[str, Tensor] = {}
    for name, value in tensors_of(knowledge, need).items():
        cut = storage.top is not None and need == Need.LOGITS
        found |= packed_top(name, value, storage) if cut else packed(name, value, storage.precision)
    return found


def tensors_of(knowledge: Knowledge, need: Need) -> dict[str, Tensor]:
    """The tensors of a kind of knowledge, by name."""
    if need == Need.LOGITS:
        return {"logits": knowledge.logits_BK}
    if need == Need.EMBEDDING:
        return {"embedding": knowledge.embedding_BD}
    return {f"attention{stage}": knowledge.attention_BHW(stage) for stage in range(knowledge.stages)}
