"""Augmentation that is drawn: crops of any size, policies, colours and erasing, of which an image has no end of views.

A view is named by (image, id) all the same: what is drawn for it is a pure function of the two, of torchvision's transforms
under a seed of their own. So a bank can hold what teachers say of ``draws`` views of every image, as of a table of shifts; and
without a limit every epoch of every seed has views of its own. View 0 is the image itself, or its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor

from kd_core.data.views import IDENTITY, Augmentation, middle
from kd_core.random import derive, generator
from kd_core.vision import transforms

Operation: TypeAlias = tuple[str, float]  # of a policy: its name and magnitude

LARGEST_ID = 2**62
HALF = 0.5  # the chance of a mirror image
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
        size: H = W of a view.
        margin: pixels on each side of the images that view 0, their middle, leaves out.
        scale: of the area of a resized crop; None: a crop of the padded image.
        draws: views that an image has besides itself; None: no end.
    """

    size: int
    seed: int
    margin: int = 0
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
        """The views of a batch of images (uint8), one each, of ``size``; on the CPU, so that they are the same on any
        device.

        What is done to each image is drawn first, as torchvision's transforms draw it one after the other under the view's
        seed; then it is done, to all images at once that the same is done to. No bit of a view depends on its company.
        """
        whole_BCHW = images_BCHW.cpu()
        rows_B = (views_B.cpu() != IDENTITY).nonzero()[:, 0]
        shown_BCHW = middle(whole_BCHW, self.size).clone()
        if len(rows_B):
            named = zip(indices_B[rows_B].tolist(), views_B[rows_B].tolist(), strict=True)
            shapes = whole_BCHW[0], shown_BCHW[0]
            with torch.random.fork_rng(devices=[]):
                drawn = [self._drawn(*shapes, index, view) for index, view in named]
            shown_BCHW[rows_B] = self._done(whole_BCHW[rows_B], drawn)
        return shown_BCHW.to(images_BCHW.device)

    def _drawn(self, image_CHW: Tensor, shown_CHW: Tensor, index: int, view: int) -> Draw:
        """What is done to an image of this shape, that is to have that shape. Leaves torch's generator where it is then."""
        # torch.manual_seed seeds all devices, and takes a hundred times as long for it
        torch.default_generator.manual_seed(derive(self.seed, "view", index, view))
        crop = self._crop.make_params([image_CHW])
        flip = self.flip and bool(torch.rand(1) < HALF)
        operations = self._policy.drawn(shown_CHW) if self._policy else []
        jitter = self._jitter.make_params([shown_CHW]) if self._jitter else None
        erased = self.erasing and bool(torch.rand(1) < self.erasing)
        return Draw(crop, flip, operations, jitter, self._erase.make_params([shown_CHW]) if erased else None)

    def _done(self, images_BCHW: Tensor, drawn: list[Draw]) -> Tensor:
        """The images with what was drawn for each done to it."""
        shown_BCHW = self._cropped(images_BCHW, drawn)
        if self._policy:
            shown_BCHW = self._policy.done(shown_BCHW, [each.operations for each in drawn])
        for row, each in enumerate(drawn):
            if each.jitter is not None:
                shown_BCHW[row] = self._jitter.transform(shown_BCHW[row], each.jitter)
            if each.erased is not None:
                shown_BCHW[row] = self._erase.transform(shown_BCHW[row], each.erased)
        return shown_BCHW

    def _cropped(self, images_BCHW: Tensor, drawn: list[Draw]) -> Tensor:
        """The crop of every image, and its mirror image where that was drawn."""
        if self.scale is None:  # a shift, and so a view of the table of all shifts
            shifts = Augmentation(self.padding, flip=True, margin=self.margin)
            places = [(each.crop["top"] - shifts.reach, each.crop["left"] - shifts.reach, each.flip) for each in drawn]
            return shifts.render(images_BCHW, torch.tensor([shifts.view(*place) for place in places]))
        shown_BCHW = torch.stack(
            [self._crop.transform(image, each.crop) for image, each in zip(images_BCHW, drawn, strict=True)]
        )
        flipped = [row for row, each in enumerate(drawn) if each.flip]
        shown_BCHW[flipped] = shown_BCHW[flipped].flip(3)
        return shown_BCHW

    @cached_property
    def _crop(self) -> transforms.Transform:
        if self.scale is not None:
            return transforms.RandomResizedCrop(self.size, self.scale, self.ratio, antialias=True)
        return transforms.RandomCrop(self.size, self.padding)

    @cached_property
    def _policy(self) -> Policy | None:
        return None if self.policy == "none" else Policy(POLICIES[self.policy]())

    @cached_property
    def _jitter(self) -> transforms.Transform:
        return transforms.ColorJitter(self.jitter, self.jitter, self.jitter) if self.jitter else None

    @cached_property
    def _erase(self) -> transforms.Transform:
        return transforms.RandomErasing(self.erasing)


@dataclass(frozen=True)
class Draw:
    """What is done to one image, as torchvision's transforms name it."""

    crop: dict[str, Any]
    flip: bool
    operations: list[Operation]
    jitter: dict[str, Any] | None
    erased: dict[str, Any] | None


class Policy:
    """A policy of torchvision's, which is asked what it would do to an image, and does it to many."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.do = policy._apply_image_or_video_transform
        self.asked: list[Operation] = []
        policy._apply_image_or_video_transform = self._asked

    def _asked(self, image: Tensor, name: str, magnitude: float, **how: object) -> Tensor:
        self.asked.append((name, magnitude))
        return image

    def drawn(self, image_CHW: Tensor) -> list[Operation]:
        """What it would do to an image of this shape, by torch's generator."""
        self.asked.clear()
        self.policy(image_CHW)
        return list(self.asked)

    def done(self, images_BCHW: Tensor, operations: list[list[Operation]]) -> Tensor:
        """The images after the operations of each: those that have the same one next are put through it together."""
        for step in range(max(map(len, operations))):
            rows: dict[Operation, list[int]] = {}
            for row, own in enumerate(operations):
                if step < len(own):
                    rows.setdefault(own[step], []).append(row)
            for (name, magnitude), group in rows.items():
                how = {"interpolation": self.policy.interpolation, "fill": self.policy._fill}
                images_BCHW[group] = self.do(images_BCHW[group], name, magnitude, **how)
        return images_BCHW
