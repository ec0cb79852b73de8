"""RegNets are torchvision's but for the stem and the strides, and the CIFAR zoos' to the parameter."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import kd_core.vision  # noqa: F401  before torchvision itself

# isort: split
from torchvision.models.regnet import BlockParams, RegNet

from kd_core.models.table import MODELS, build
from kd_core.models.zoo_names import own_names

NAMES = [name for name, info in MODELS.items() if info.family == "regnet"]
PARAMETERS = {"RegNetX_200MF": 2_321_946, "RegNetY_400MF": 5_714_362}  # of pytorch-cifar's networks, at 10 classes
LAYERS = {"a.0": "conv1", "a.1": "bn1", "b.0": "conv2", "b.1": "bn2", "se.fc": "se.se", "c.0": "conv3", "c.1": "bn3"}


def torchvisions(name: str, classes: int) -> nn.Module:
    """torchvision's network of these widths, of stride 1 in the stem and the first two stages."""
    widths, blocks, group = (MODELS[name].arguments[each] for each in ("widths", "blocks", "group"))
    squeeze = 0.25 if MODELS[name].arguments.get("squeezes") else None
    network = RegNet(BlockParams(blocks, widths, [group] * 4, [1.0] * 4, [1, 1, 2, 2], squeeze), classes, stem_width=64)
    network.stem[0].stride = (1, 1)
    return network


def ours(name: str) -> str:
    """Our name of one of torchvision's tensors."""
    if found := re.fullmatch(r"trunk_output\.block(\d)\.block\d-(\d+)\.(?:f\.)?(.+)", name):
        layer = found[3].replace("proj.", "shortcut.")
        for theirs, own in LAYERS.items():
            layer = re.sub(f"^{re.escape(theirs)}", own, layer)
        return f"stages.{int(found[1]) - 1}.{found[2]}.{layer}"
    return name.replace("fc.", "head.")


@pytest.mark.parametrize("name", NAMES)
def test_with_the_same_weights_they_say_what_torchvisions_say(name: str) -> None:
    torch.manual_seed(0)
    theirs, network = torchvisions(name, 10).eval(), build(name, channels=3, classes=10).eval()
    network.load_state_dict({ours(key): value for key, value in theirs.state_dict().items()})
    images_BCHW = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network(images_BCHW), theirs(images_BCHW))


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_the_public_zoo(name: str) -> None:
    with torch.device("meta"):
        assert sum(each.numel() for each in build(name, channels=3, classes=10).parameters()) == PARAMETERS[name]


def test_names_of_the_public_zoo() -> None:
    with torch.device("meta"):
        own = build("RegNetY_400MF", channels=3, classes=10).state_dict().keys()
    stem, head = {"stem.0": "conv1", "stem.1": "bn1"}, {"head": "linear"}
    zoo = {re.sub(r"^(stem\.\d|head)", lambda found: (stem | head)[found[1]], name) for name in own}
    zoo = {re.sub(r"^stages\.(\d)", lambda found: f"layer{int(found[1]) + 1}", name) for name in zoo}
    assert set(own_names(zoo).values()) == own
