"""Synthetic images: drawn figures, 32×32 in colour, of adjustable difficulty; nothing to download.

A class is a word of four attributes, each with q values, q the least whole number with q³ ≥ classes:

    o  the figure's outline, r(θ) = 1 + Σ_j a_j cos(jθ − φ_j), j = 2 … 5
    t  its texture, Σ_w cos(k_w · u + φ_w) of three waves in the figure's own coordinates u
    m  where on the figure a mark sits, at the angle 2πm/q
    h  the mark's hue beside the figure's, h = (o + t + m) mod q

So words of different classes differ in at least two attributes, and no one or two of them tell the class. Every image has a
hue, a polarity (light on dark or dark on light), a background and a mirroring of its own, so that the mean image of a class
says next to nothing about it. Difficulty d in [0, 1] scales what else differs: place, turn, size, bending, contrast,
brightness, the mark's hue, a background textured like a figure, and pixel noise.

Image i of a split is a function of (generator_seed, i) and the class of (classes, i): fewer images are the first of many, and
another difficulty shows the same scenes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kd_core.data.split import Split
from kd_core.data.splits import Source
from kd_core.data.table import DataConfig
from kd_core.random import generator

SIZE = 32
MEAN, STD = (0.5,) * 3, (0.15,) * 3  # about what it has at any difficulty
SHARE = 500  # images that are drawn from one generator

# at difficulty 1; half the image is 1
SHIFT, TURN, GROWTH, BEND = 0.3, 0.35 * math.pi, 0.3, 0.2
FADE, GLARE, CLUTTER, NOISE = 0.6, 0.15, 0.3, 0.06
HUE = 0.15  # of the step from one hue of a mark to the next


@dataclass(frozen=True)
class World:
    """What is common to all images: the words of its K classes, and what V = q outlines and textures look like."""

    words_K4: Tensor  # o, t, m, h
    amplitude_V4: Tensor
    phase_V4: Tensor
    wave_V32: Tensor
    wave_phase_V3: Tensor

    @classmethod
    def of(cls, classes: int, seed: int) -> World:
        """The world of a seed."""
        values = next(q for q in range(2, classes + 2) if q**3 >= classes)
        drawn = generator(seed, "synthetic", "world")
        number_K = torch.randperm(values**3, generator=drawn)[:classes]
        free_K3 = torch.stack([number_K // values**place % values for place in range(3)], 1)
        amplitude_V4 = torch.randn(values, 4, generator=drawn) / torch.arange(2, 6).sqrt()
        angle_V3 = 2 * math.pi * torch.rand(values, 3, generator=drawn)
        length_V31 = math.pi * (1.2 + 1.8 * torch.rand(values, 3, 1, generator=drawn))
        return cls(
            words_K4=torch.cat([free_K3, free_K3.sum(1, keepdim=True) % values], 1),
            amplitude_V4=0.45 * amplitude_V4 / amplitude_V4.norm(dim=1, keepdim=True),
            phase_V4=2 * math.pi * torch.rand(values, 4, generator=drawn),
            wave_V32=length_V31 * torch.stack([angle_V3.cos(), angle_V3.sin()], -1),
            wave_phase_V3=2 * math.pi * torch.rand(values, 3, generator=drawn),
        )

    @property
    def values(self) -> int:
        """q, how many values an attribute has."""
        return len(self.amplitude_V4)

    def radius(self, outline_B: Tensor, theta_BHW: Tensor) -> Tensor:
        """r(θ) of an outline for each image, at least 0.3."""
        amplitude_B4, phase_B4 = self.amplitude_V4[outline_B], self.phase_V4[outline_B]
        waves = [_each(amplitude_B4[:, j]) * torch.cos((j + 2) * theta_BHW - _each(phase_B4[:, j])) for j in range(4)]
        return (1 + torch.stack(waves).sum(0)).clamp(min=0.3)

    def texture(self, texture_B: Tensor, u_BHW: Tensor, v_BHW: Tensor, phase_B3: Tensor) -> Tensor:
        """A texture for each image, in [−2, 2]."""
        wave_B32, phase_B3 = self.wave_V32[texture_B], self.wave_phase_V3[texture_B] + phase_B3
        waves = [
            torch.cos(_each(wave_B32[:, w, 0]) * u_BHW + _each(wave_B32[:, w, 1]) * v_BHW + _each(phase_B3[:, w]))
            for w in range(3)
        ]
        return torch.stack(waves).sum(0) / 1.5


def synthetic(config: DataConfig, root: Path, download: bool) -> Source:
    """Training and test split of a config. Classes take turns. Nothing is read from ``root``."""
    assert config.test_images is not None
    assert config.difficulty is not None
    assert config.generator_seed is not None
    seed, difficulty, classes = config.generator_seed, config.difficulty, config.info.classes
    world = World.of(classes, seed)

    def split(part: str, count: int) -> Split:
        labels_N = torch.arange(count) % classes
        drawn = [
            draw(world, labels_B, difficulty, generator(seed, "synthetic", part, number))
            for number, labels_B in enumerate(labels_N.split(SHARE))
        ]
        return Split(torch.cat(drawn), labels_N)

    return Source(split("train", config.info.train), split("test", config.test_images), MEAN, STD)


def draw(world: World, labels_B: Tensor, difficulty: float, drawn: torch.Generator) -> Tensor:
    """Images (uint8, B3HW) of at most SHARE classes; the first ones do not depend on how many there are."""
    count, d = len(labels_B), difficulty
    columns: Iterator[Tensor] = iter(torch.rand(SHARE, 22, generator=drawn)[:count].T)
    noise_B3HW = torch.randn(SHARE, 3, SIZE, SIZE, generator=drawn)[:count]

    def unit() -> Tensor:  # in [0, 1)
        return next(columns)

    def sided(reach: float) -> Tensor:
        return reach * (2 * unit() - 1)

    def turn() -> Tensor:
        return 2 * math.pi * unit()

    def side() -> Tensor:  # −1 or 1
        return 2 * (unit() < 0.5).float() - 1

    # the plane: mirrored, bent, shifted, turned and scaled into the figure's own coordinates u, v
    axis = (torch.arange(SIZE) + 0.5) * 2 / SIZE - 1
    x_BHW, y_BHW = _each(side()) * axis, axis[None, :, None]
    x_BHW, y_BHW = (
        x_BHW + d * BEND * torch.sin(_each(turn()) + _each(3 + 3 * unit()) * y_BHW) + _each(sided(d * SHIFT)),
        y_BHW + d * BEND * torch.sin(_each(turn()) + _each(3 + 3 * unit()) * x_BHW) + _each(sided(d * SHIFT)),
    )
    scale_B, turned_B = 0.68 * torch.exp(sided(d * GROWTH)), sided(d * TURN)
    cos_B11, sin_B11 = _each(turned_B.cos() / scale_B), _each(turned_B.sin() / scale_B)
    u_BHW, v_BHW = cos_B11 * x_BHW + sin_B11 * y_BHW, cos_B11 * y_BHW - sin_B11 * x_BHW

    # what is drawn there
    o_B, t_B, m_B, h_B = world.words_K4[labels_B].T
    sharp_B11 = _each(16 * scale_B)  # edges of about two pixels
    inside_BHW = world.radius(o_B, torch.atan2(v_BHW, u_BHW)) - torch.hypot(u_BHW, v_BHW)
    angle_B = 2 * math.pi * m_B / world.values
    beside_BHW = 0.3 - torch.hypot(u_BHW - _each(0.5 * angle_B.cos()), v_BHW - _each(0.5 * angle_B.sin()))
    figure_BHW = world.texture(t_B, u_BHW, v_BHW, torch.zeros(count, 3))
    foreign_B = (world.values * unit()).long()
    clutter_BHW = world.texture(foreign_B, 1.6 * x_BHW, 1.6 * y_BHW, torch.stack([turn(), turn(), turn()], 1))
    ground_BHW = torch.sin(_each(turn()) + _each(sided(3)) * x_BHW + _each(sided(3)) * y_BHW)

    # light and hue, and one over the other
    polarity_B, hue_B = side(), unit()
    beside_hue_B = hue_B + 0.5 * (h_B + 0.5 + d * sided(HUE)) / world.values
    image_B3HW = (0.3 * ground_BHW + d * CLUTTER * clutter_BHW)[:, None] + 0.3 * _rgb(unit())
    figure_B3HW = (_each(polarity_B) * (0.25 + 0.45 * figure_BHW))[:, None] + 0.45 * _rgb(hue_B)
    mark_B3HW = _each(-0.4 * polarity_B)[:, None] + 0.45 * _rgb(beside_hue_B)
    image_B3HW = image_B3HW.lerp(figure_B3HW, torch.sigmoid(sharp_B11 * inside_BHW)[:, None])
    image_B3HW = image_B3HW.lerp(mark_B3HW, torch.sigmoid(sharp_B11 * beside_BHW)[:, None])
    contrast_B, glare_B = 0.4 * (1 - d * FADE * unit()), sided(d * GLARE)
    image_B3HW = 0.5 + _each(contrast_B)[:, None] * image_B3HW + _each(glare_B)[:, None] + (0.01 + d * NOISE) * noise_B3HW
    return (255 * image_B3HW).round().clamp(0, 255).to(torch.uint8)


def _each(value_B: Tensor) -> Tensor:
    """A number for each image, to be combined with its plane."""
    return value_B[:, None, None]


def _rgb(hue_B: Tensor) -> Tensor:
    """Hues (1 is once around) as colours B311 around 0."""
    return torch.cos(2 * math.pi * (hue_B[:, None] + torch.tensor([0, 1 / 3, 2 / 3])))[..., None, None]
