"""The memory of CRD and its negatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kd_core.knowledge import Batch

MASK = 0xFFFFFFFF


def scrambled(x: Tensor) -> Tensor:
    """A permutation of the 32-bit integers (int64 tensor) that looks random: ``lowbias32``, C. Wellons, Hash Prospector."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    return x ^ (x >> 16)


def uniform_BJ(salt: Tensor, epoch: int, indices_B: Tensor, draws: int) -> Tensor:
    """32 random bits for each draw of a sample: a pure function of (salt, epoch, index, draw), the same on any device."""
    draw_J = torch.arange(draws, device=indices_B.device)
    return scrambled(scrambled(scrambled((scrambled(salt) + epoch) & MASK) ^ indices_B)[:, None] ^ draw_J)


class Negatives(nn.Module):
    """Draws samples of other classes than a sample's own, with repetition. Memory O(N)."""

    def __init__(self, labels_N: Tensor, classes: int) -> None:
        super().__init__()
        counts_K = torch.bincount(labels_N, minlength=classes)
        self.register_buffer("by_class_N", labels_N.argsort(stable=True), persistent=False)
        self.register_buffer("count_K", counts_K, persistent=False)
        self.register_buffer("start_K", counts_K.cumsum(0) - counts_K, persistent=False)
        self.register_buffer("salt", torch.randint(2**32, ()))

    def forward(self, batch: Batch, draws: int) -> Tensor:
        """Sample indices BJ."""
        by_class_N, count_K, start_K = self.get_buffer("by_class_N"), self.get_buffer("count_K"), self.get_buffer("start_K")
        count_B1, start_B1 = count_K[batch.labels_B][:, None], start_K[batch.labels_B][:, None]
        bits_BJ = uniform_BJ(self.get_buffer("salt"), batch.epoch, batch.indices_B, draws)
        place_BJ = (bits_BJ * (len(by_class_N) - count_B1)) >> 32  # among the others, in the order of their classes
        return by_class_N[place_BJ + count_B1 * (place_BJ >= start_B1)]


class Memory(nn.Module):
    """One network's side: a linear map of its embedding to unit vectors, and the last vector of every training sample."""

    def __init__(self, samples: int, embedding: int, dimension: int) -> None:
        super().__init__()
        self.map = nn.Linear(embedding, dimension)
        width = math.sqrt(3 / dimension)  # a row's expected squared norm is 1
        self.register_buffer("vectors_ND", torch.empty(samples, dimension).uniform_(-width, width))
        self.register_buffer("normaliser", torch.zeros(()))  # Z of those who are compared with these vectors; 0: not yet known

    def unit(self, embedding_BD: Tensor) -> Tensor:
        """v."""
        return F.normalize(self.map(embedding_BD), dim=1)

    def probabilities(self, anchor_BD: Tensor, drawn_BJ: Tensor, tau: float) -> Tensor:
        """P of the anchors and the drawn samples' vectors, BJ; the first call fixes Z."""
        vectors_ND, normaliser = self.get_buffer("vectors_ND"), self.get_buffer("normaliser")
        # of all N, then gathered: gathering first would copy J vectors for each sample
        raw_BJ = (anchor_BD @ vectors_ND.T / tau).gather(1, drawn_BJ).exp()
        self.normaliser = normaliser.where(normaliser > 0, raw_BJ.detach().mean() * len(vectors_ND))
        return raw_BJ / self.normaliser

    @torch.no_grad()
    def update(self, indices_B: Tensor, unit_BD: Tensor, momentum: float) -> None:
        """Move the samples' vectors towards what was just said of them, and back to norm 1."""
        vectors_ND = self.get_buffer("vectors_ND")
        moved_BD = F.normalize(momentum * vectors_ND[indices_B] + (1 - momentum) * unit_BD, dim=1)
        self.vectors_ND = vectors_ND.index_copy(0, indices_B, moved_BD)  # not in place: the gradient needs the old ones
