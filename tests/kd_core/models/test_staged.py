"""Networks that plugins bring: observed where their entry says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kd_core.models.info import ModelInfo
from kd_core.models.network import Network, shape_of
from kd_core.models.staged import staged
from tests.support import small


def made(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 2, 1), nn.Conv2d(2, 5, 2, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, classes)
    )


def test_it_says_what_its_submodules_give():
    torch.manual_seed(0)
    body = made(1, 3)
    network = staged("mine", ModelInfo(make=lambda channels, classes: body, stages=("0", "1"), head="4"), channels=1, classes=3)
    head = network.head
    images_BCHW = torch.rand(2, 1, 4, 4)
    seen = network.observe(images_BCHW)
    first = body[0](images_BCHW)
    second = body[1](first)
    torch.testing.assert_close(seen.features[0], first, rtol=0, atol=0)
    torch.testing.assert_close(seen.features[1], second, rtol=0, atol=0)
    torch.testing.assert_close(seen.embedding_BD, second.mean((2, 3)))
    torch.testing.assert_close(seen.logits_BK, head(second.mean((2, 3))))
    assert shape_of(network, (1, 4, 4)).stages == ((2, 4, 4), (5, 2, 2))
    assert not any(module._forward_hooks for module in network.modules()), "nothing is left behind"


def test_arguments_of_the_entry_are_passed():
    found = {}

    def make(channels, classes, **arguments):
        found.update(arguments, channels=channels, classes=classes)
        return made(channels, classes)

    staged("mine", ModelInfo(make=make, arguments={"width": 7}, stages=("0",), head="4"), channels=3, classes=2)
    assert found == {"width": 7, "channels": 3, "classes": 2}


def test_a_network_of_ours_is_taken_as_it_is():
    network = small.network()
    assert staged("mine", ModelInfo(make=lambda channels, classes: network), channels=1, classes=3) is network
    assert isinstance(network, Network)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"make": lambda channels, classes: 3}, "`make` must give a module of torch, but gave a int"),
        ({"make": made}, "`make` gives no Network, so its entry must name `stages` and `head`"),
        ({"make": made, "stages": ("9",), "head": "4"}, "has no submodule '9'; it has 0, 1, 2, 3, 4"),
        ({"make": made, "stages": ("0",), "head": "fc"}, "has no submodule 'fc'"),
        ({"make": made, "stages": ("0",), "head": "1"}, "its head '1' must be a Linear, but is a Conv2d"),
    ],
)
def test_what_cannot_be_observed(more, problem):
    with pytest.raises(ValueError, match=problem):
        staged("mine", ModelInfo(**more), channels=1, classes=3)
