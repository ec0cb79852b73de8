"""The tensor names of the CIFAR zoo of RepDistiller (Tian et al. 2020, arXiv 1910.10699), which mdistiller and many others took
over, as the networks here call the same tensors. The networks are the same; what was published of them can so be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

HEAD = re.compile(r"(?:fc|linear|classifier(?:\.0)?)\.(weight|bias)")
DOWN = {  # of the first unit of a stage of ShuffleNetV2
    "conv1": "left.0",
    "bn1": "left.1",
    "conv2": "left.2",
    "bn2": "left.3",
    "conv3": "right.0",
    "bn3": "right.1",
    "conv4": "right.3",
    "bn4": "right.4",
    "conv5": "right.5",
    "bn5": "right.6",
}
UNIT = {"conv1": "branch.0", "bn1": "branch.1", "conv2": "branch.3", "bn2": "branch.4", "conv3": "branch.5", "bn3": "branch.6"}


def own_names(names: Collection[str]) -> dict[str, str]:
    """What the networks here call the tensors of a network of that zoo, by its name for each; empty where these are not the
    names of one. Names that belong to no such network stay as they are."""
    for mark, translate in FAMILIES.items():
        if mark in names:
            return {name: _head(name) or translate(name, names) or name for name in names}
    return {}


def _head(name: str) -> str:
    found = HEAD.fullmatch(name)
    return f"head.{found[1]}" if found else ""


def _ends(name: str) -> str:
    """The convolution and its normalisation before the stages, and behind them."""
    if found := re.fullmatch(r"(conv|bn)([12])\.(\w+)", name):
        return f"{'stem' if found[2] == '1' else 'neck'}.{('conv', 'bn').index(found[1])}.{found[3]}"
    return ""


def _resnet(name: str, names: Collection[str]) -> str:
    """ResNets and ShuffleNetV1."""
    if found := re.fullmatch(r"layer(\d)\.(.+)", name):
        return f"stages.{int(found[1]) - 1}.{found[2].replace('downsample.', 'shortcut.')}"
    return _ends(name)


def _wrn(name: str, names: Collection[str]) -> str:
    if name == "conv1.weight":
        return "stem.weight"
    if found := re.fullmatch(r"bn1\.(\w+)", name):
        return f"neck.0.{found[1]}"
    if found := re.fullmatch(r"block(\d)\.layer\.(.+)", name):
        return f"stages.{int(found[1]) - 1}.{found[2].replace('convShortcut.', 'shortcut.')}"
    return ""


def _vgg(name: str, names: Collection[str]) -> str:
    """Here the pooling is the first layer of its stage, and blocks 3 and 4 are one stage."""
    if found := re.fullmatch(r"block(\d)\.(\d+)\.(\w+)", name):
        block, layer = int(found[1]), int(found[2])
        before = 3 * sum(bool(re.fullmatch(r"block3\.\d+\.running_mean", other)) for other in names) if block == 4 else 0
        return f"stages.{min(block, 3)}.{layer + before + (block > 0)}.{found[3]}"
    return ""


def _mobilenet(name: str, names: Collection[str]) -> str:
    """Here blocks 0 and 1, 3 and 4, 5 and 6 are one stage each."""
    if found := re.fullmatch(r"conv([12])\.([01])\.(\w+)", name):
        return f"{'stem' if found[1] == '1' else 'neck'}.{found[2]}.{found[3]}"
    if found := re.fullmatch(r"blocks\.(\d)\.(\d)\.conv\.(.+)", name):
        block, unit = int(found[1]), int(found[2])
        stage = (0, 0, 1, 2, 2, 3, 3)[block] if block < 7 else block
        before = rf"blocks\.{block - 1}\.\d\.conv\.0\.weight"
        unit += sum(bool(re.fullmatch(before, other)) for other in names) if block in (1, 4, 6) else 0
        return f"stages.{stage}.{unit}.layers.{found[3]}"
    return ""


def _shufflenet_v2(name: str, names: Collection[str]) -> str:
    if found := re.fullmatch(r"layer(\d)\.(\d)\.(\w+)\.(\w+)", name):
        unit = UNIT if int(found[2]) else DOWN
        return f"stages.{int(found[1]) - 1}.{found[2]}.{unit.get(found[3], found[3])}.{found[4]}"
    return _ends(name)


FAMILIES: dict[str, Callable[[str, Collection[str]], str]] = {  # by a tensor that no other family has
    "blocks.0.0.conv.0.weight": _mobilenet,
    "block1.layer.0.conv1.weight": _wrn,
    "block0.0.weight": _vgg,
    "layer1.0.conv5.weight": _shufflenet_v2,
    "layer1.0.conv1.weight": _resnet,  # the last: ShuffleNetV2 has it too
}
