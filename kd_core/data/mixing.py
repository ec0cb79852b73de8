"""Mixing the images of a batch two by two: mixup and cutmix, as pure functions of (seed, epoch, index).

mixup (Zhang et al. 2018, arXiv 1710.09412) adds two images at shares λ and 1 − λ; cutmix (Yun et al. 2019, arXiv 1905.04899)
puts a box of one into the other, of the same height and width in proportion, whose area is 1 − λ before it is cut off at the
image's edge; λ ~ Beta(α, α) is drawn for every image, and counts as what is left of it. Where both are asked for, a batch has
either with equal chance. Partners are a permutation of the whole batch, also where several workers share it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kd_core.random import derive


@dataclass(frozen=True)
class Pairs:
    """Of the images in an epoch's order: with which other each is mixed, and how."""

    partners_N: Tensor  # positions in that order
    share_N: Tensor  # λ as it was drawn, float32
    boxed_N: Tensor  # bool: cutmix
    centres_N2: Tensor  # of the box, (y, x) on the scale 0..1

    def mixed(self, images_BCHW: Tensor, others_BCHW: Tensor, span: slice) -> tuple[Tensor, Tensor]:
        """A part of the images, each mixed with its partner, and the share B that is left of each."""
        device = images_BCHW.device
        share_B, boxed_B = self.share_N[span].to(device), self.boxed_N[span].to(device)
        height, width = images_BCHW.shape[2:]
        inside_BHW = self._box(span, height, device, 0)[:, :, None] & self._box(span, width, device, 1)[:, None, :]
        inside_BHW = inside_BHW & boxed_B[:, None, None]
        left_B = torch.where(boxed_B, 1 - inside_BHW.float().mean((1, 2)), share_B)
        share_BHW = torch.where(boxed_B[:, None, None], (~inside_BHW).float(), share_B[:, None, None])[:, None]
        return share_BHW * images_BCHW + (1 - share_BHW) * others_BCHW, left_B

    def _box(self, span: slice, length: int, device: torch.device, axis: int) -> Tensor:
        """Which of ``length`` rows or columns of every image lie in its box."""
        side_B = (length * (1 - self.share_N[span]).sqrt()).long().to(device)
        centre_B = (length * self.centres_N2[span, axis]).long().to(device)
        at_L = torch.arange(length, device=device)
        first_B = centre_B - side_B // 2
        return (at_L >= first_B[:, None]) & (at_L < (first_B + side_B)[:, None])


@dataclass(frozen=True)
class Mix:
    """Alphas; 0 is never."""

    mixup: float = 0.0
    cutmix: float = 0.0

    def pairs(self, seed: int, epoch: int, batches: list[slice]) -> Pairs:
        """What is mixed with what in an epoch whose batches are these."""
        random = np.random.default_rng(derive(seed, "mix", epoch))
        partners, shares, boxed = [], [], []
        for span in batches:
            size = span.stop - span.start
            box = self.cutmix > 0 and (self.mixup == 0 or random.random() < 0.5)
            alpha = self.cutmix if box else self.mixup
            partners.append(span.start + random.permutation(size))
            shares.append(random.beta(alpha, alpha, size))
            boxed.append(np.full(size, box))
        centres = random.random((batches[-1].stop, 2))
        return Pairs(
            torch.from_numpy(np.concatenate(partners)),
            torch.from_numpy(np.concatenate(shares).astype(np.float32)),
            torch.from_numpy(np.concatenate(boxed)),
            torch.from_numpy(centres.astype(np.float32)),
        )
