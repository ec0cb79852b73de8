"""A small network and small splits for tests that need real training, not a real result."""

from __future__ import annotations

import torch
from torch import nn

from kd_core.data.split import Split
from kd_core.data.splits import Splits
from kd_core.data.views import Augmentation
from kd_core.methods.method import Method
from kd_core.methods.none import Plain
from kd_core.methods.setting import Setting
from kd_core.models.network import Network, shape_of

CLASSES = 3


def network(seed: int = 0, width: int = 4) -> Network:
    """Two stages, 8×8 and 4×4, with batch norm and dropout, so that every kind of state is there."""
    torch.manual_seed(seed)
    stages = {
        "first": nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
        "second": nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.Dropout(0.1)),
    }
    return Network(nn.Identity(), stages, nn.Identity(), 2 * width, CLASSES)


def splits(train: int = 50, seed: int = 0) -> Splits:
    """Images whose class is the brightness of a corner, with noise: learnable in a few epochs."""
    generator = torch.Generator().manual_seed(seed)

    def split(count: int) -> Split:
        labels_N = torch.arange(count) % CLASSES
        images = torch.randint(0, 120, (count, 1, 8, 8), generator=generator)
        images[:, :, :4, :4] += (labels_N * 60)[:, None, None, None]
        return Split(images.to(torch.uint8), labels_N)

    return Splits(split(train), split(30), split(30), CLASSES, (0.3,), (0.2,), Augmentation(padding=1, flip=True))


def setting(student: Network, teachers: tuple[Network, ...] = (), **more) -> Setting:
    image = (1, 8, 8)
    return Setting(shape_of(student, image), tuple(shape_of(t, image) for t in teachers), splits().train.labels_N, **more)


def plain(student: Network) -> Method:
    return Plain(Plain.Config(), setting(student))
