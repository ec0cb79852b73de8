"""Augmentation as a pure function: pad with black, crop, flip; every result is a view with an id.

An image of a data set has V = (2r + 1)² · (2 if flipped) views, the reach r being the padding and the margin, which is kept
of an image around what a network sees. View 0 is the middle of the image, whatever the augmentation: all of it where there is
no margin. Which views an epoch sees follows from (seed, epoch, index) alone, so that a view can be known before, or
without, being rendered.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kd_core.random import generator

IDENTITY = 0  # the view that is the image's middle


@dataclass(frozen=True)
class Augmentation:
    """Shift by up to r = ``padding`` + ``margin`` pixels on each axis and, where ``flip``, mirror left and right half of the
    time.

    id = (flip · S + dy mod S) · S + dx mod S, S = 2r + 1. Row y, column x of a view shows row y + margin + dy, column
    x + margin + dx of the image (mirrored after the crop), black outside it; dy and dx lie in [−r, r].
    """

    padding: int = 0
    flip: bool = False
    margin: int = 0  # pixels on each side of the images that a view without a shift leaves out

    @property
    def reach(self) -> int:
        """r, the largest shift."""
        return self.padding + self.margin

    @property
    def views(self) -> int:
        """V, the number of views of an image."""
        return (2 * self.reach + 1) ** 2 * (2 if self.flip else 1)

    def draw(self, seed: int, epoch: int, n: int) -> Tensor:
        """The views (N, int64, on the CPU) of the first ``n`` images in an epoch, uniform and independent."""
        return torch.randint(self.views, (n,), generator=generator(seed, "views", epoch))

    def view(self, dy: int, dx: int, flip: bool = False) -> int:
        """The id of a shift and flip."""
        side = 2 * self.reach + 1
        return (flip * side + dy % side) * side + dx % side

    def parts(self, views_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """dy, dx and flip (bool) of every id; the inverse of :meth:`view`."""
        side = 2 * self.reach + 1
        dy_B = (views_B // side + self.reach) % side - self.reach
        dx_B = (views_B + self.reach) % side - self.reach
        return dy_B, dx_B, views_B >= side**2

    def render(self, images_BCHW: Tensor, views_B: Tensor, indices_B: Tensor | None = None) -> Tensor:
        """The views of a batch of images, one each, of the same type and, but for the margin, size, whichever images they are.
        All lie on the same device."""
        channels, full, width = images_BCHW.shape[1:]
        height, shown = full - 2 * self.margin, width - 2 * self.margin
        dy_B, dx_B, flip_B = self.parts(views_B)
        rows_H = torch.arange(height, device=views_B.device) + self.reach
        columns_W = torch.arange(shown, device=views_B.device) + self.reach
        rows_BH = rows_H + dy_B[:, None]
        columns_BW = torch.where(flip_B[:, None], columns_W.flip(0), columns_W) + dx_B[:, None]
        pixels_BP = (rows_BH[:, :, None] * (width + 2 * self.padding) + columns_BW[:, None]).flatten(1)
        padded_BCP = F.pad(images_BCHW, (self.padding,) * 4).flatten(2)
        return padded_BCP.gather(2, pixels_BP[:, None].expand(-1, channels, -1)).view(-1, channels, height, shown)


def middle(images_BCHW: Tensor, size: int) -> Tensor:
    """The middle ``size`` × ``size`` of square images: their view 0."""
    margin = (images_BCHW.shape[-1] - size) // 2
    return images_BCHW[..., margin : margin + size, margin : margin + size]


def normalise(images_BCHW: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    """Images 0..255 (uint8) as float32 with about zero mean and unit deviation; mean and std are on the scale 0..1."""
    return images_BCHW.float().div_(255).sub_(mean_C[:, None, None]).div_(std_C[:, None, None])
