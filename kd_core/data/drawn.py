"""Augmentation that is drawn: crops of any size, policies, colours and erasing, of which an image has no end of views.

A view is named by (image, id) all the same: what is drawn for it is a pure function of the two, of torchvision's transforms
under a seed of their own. So a bank can hold what teachers say of ``draws`` views of every image, as of a table of shifts; and
without a limit every epoch of every seed has views of its own. View 0 is the image itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from kd_core.data.views import IDENTITY
from kd_core.random import derive, generator
from kd_core.vision import transforms

LARGEST_ID = 2**62
POLICIES = {
    "autoaugment_cifar": lambda: transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10),  # arXiv 1805.09501
    "autoaugment_imagenet": lambda: transforms.AutoAugment(transforms.AutoAugmentPolicy.IMAGENET),
    "randaugment": transforms.RandAugment,  # arXiv 1909.13719; two operations of magnitude 9
    "trivialaugment": transforms.TrivialAugmentWide,  # arXiv 2103.10158
}


@dataclass(frozen=True)
class Drawn:
    """A crop (of the image padded with black, or of a part of it that is resized), a flip, a policy, jitter and erasing, each
    where it is asked for, in this order.

    Args:
        size: H = W.
        scale: of the area of a resized crop; None: a crop of the padded image.
        draws: views that an image has besides itself; None: no end.
    """

    size: int
    seed: int
    padding: int = 0
    flip: bool = False
    scale: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    policy: str = "none"
    jitter: float = 0.0
    erasing: float = 0.0
    draws: int | None = None

    @property
    def views(self) -> int:
        """How many views there are to be named one by one, the image itself among them."""
        assert self.draws is not None, "there is no end of them"
        return 1 + self.draws

    def draw(self, seed: int, epoch: int, n: int) -> Tensor:
        """The views (N, int64, on the CPU) of the first ``n`` images in an epoch."""
        if self.draws is None:
            return torch.full((n,), 1 + derive(seed, "views", epoch) % LARGEST_ID)
        return torch.randint(1, 1 + self.draws, (n,), generator=generator(seed, "views", epoch))

    def render(self, images_BCHW: Tensor, views_B: Tensor, indices_B: Tensor) -> Tensor:
        """The views of a batch of images (uint8), one each, of the same size; on the CPU, so that they are the same on any
        device."""
        shown_BCHW = images_BCHW.cpu().clone()
        with torch.random.fork_rng(devices=[]):
            for row, (view, index) in enumerate(zip(views_B.tolist(), indices_B.tolist(), strict=True)):
                if view != IDENTITY:
                    torch.manual_seed(derive(self.seed, "view", index, view))
                    shown_BCHW[row] = self._transform(shown_BCHW[row])
        return shown_BCHW.to(images_BCHW.device)

    @cached_property
    def _transform(self) -> transforms.Transform:
        steps: list[transforms.Transform] = []
        if self.scale is not None:
            steps.append(transforms.RandomResizedCrop(self.size, self.scale, self.ratio, antialias=True))
        elif self.padding:
            steps.append(transforms.RandomCrop(self.size, self.padding))
        if self.flip:
            steps.append(transforms.RandomHorizontalFlip())
        if self.policy != "none":
            steps.append(POLICIES[self.policy]())
        if self.jitter:
            steps.append(transforms.ColorJitter(self.jitter, self.jitter, self.jitter))
        if self.erasing:
            steps.append(transforms.RandomErasing(self.erasing))
        return transforms.Compose(steps)
