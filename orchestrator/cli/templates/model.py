"""MINE (Author et al. 2027, arXiv 0000.00000, sec. 1): two stages of a convolution each, for small images."""

from __future__ import annotations

from torch import Tensor, nn

from kd_core.models.info import ModelInfo


class Mine(nn.Module):
    def __init__(self, channels: int, classes: int, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU()
        )
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        features_BCHW = self.second(self.first(images_BCHW))
        logits_BK: Tensor = self.fc(features_BCHW.mean((2, 3)))
        return logits_BK


MODELS = {
    "mine": ModelInfo(
        description="two convolutions",
        make=Mine,
        arguments={"width": 16},
        stages=("first", "second"),  # what methods, probes and analyses see, shallow to deep
        head="fc",
        smallest=4,  # height and width
    ),
}
