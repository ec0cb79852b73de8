"""Where stages are found, on toy networks whose every map is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kd_core.models.trace import Stage, find_stages


class Residual(nn.Module):
    """Halves the size; its inner convolution still works at the old one, but the shortcut passes it by."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(2, 8, 1)
        self.outer = nn.Conv2d(8, 4, 3, 2, 1)
        self.shortcut = nn.Conv2d(2, 4, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x)) + self.shortcut(x)


class ChannelsLast(nn.Module):
    """A BCHW map to BHWC."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


def found(*layers: nn.Module) -> list[str]:
    return [stage.path for stage in find_stages(nn.Sequential(*layers))]


def test_the_last_map_of_each_size() -> None:
    # 224 pixels at modules 0 and 1; 112 at 2 and 3
    assert found(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()) == ["1", "3"]


def test_a_module_that_is_called_again_is_no_stage() -> None:
    relu = nn.ReLU()
    assert found(nn.Conv2d(3, 2, 1), relu, nn.MaxPool2d(2), relu) == ["0", "2"]


def test_what_a_shortcut_passes_by_is_no_stage() -> None:
    assert found(nn.Conv2d(3, 2, 1), Residual(), nn.ReLU()) == ["0", "2"]  # not 1.inner, which also has 224 pixels


def test_the_outermost_boundary_comes_before_the_last() -> None:
    expanded = nn.Sequential(nn.Conv2d(2, 12, 1), nn.ReLU(), nn.Conv2d(12, 4, 3, 2, 1))
    # 1.0 and 1.1 have 224 pixels too, but inside of a module that goes on to 112
    assert found(nn.Conv2d(3, 2, 1), expanded) == ["0", "1"]


def test_a_few_pixels_lost_at_the_border_are_the_same_resolution() -> None:
    assert found(nn.Conv2d(3, 2, 3, 2), nn.Conv2d(2, 2, 3), nn.MaxPool2d(2)) == ["1", "2"]  # 111, 109, 54


def test_pooled_maps_are_no_stages() -> None:
    stem = nn.Conv2d(3, 2, 4, 4)  # 56
    assert found(stem, nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(98, 5)) == ["0"]
    assert found(stem, nn.AvgPool2d(56)) == ["0"]


def test_channels_may_come_last() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 4, 4), ChannelsLast())
    (stage,) = find_stages(network)
    assert stage == Stage("1", "BHWC")
    images_BCHW = torch.randn(2, 3, 8, 8)
    assert torch.equal(stage.features(network(images_BCHW)), network[0](images_BCHW))


def test_looking_for_stages_changes_nothing() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5)).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    find_stages(network)
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
