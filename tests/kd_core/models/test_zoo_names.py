"""Files of the zoo of RepDistiller and mdistiller: every network's tensors get their own place, in the order of the layers.

The names are written here as that zoo's networks register their layers: by its definitions, and by no rule of ours.
"""

from __future__ import annotations

import pytest
import torch

from kd_core.models.table import MODELS, build
from kd_core.models.weights import fill, read
from kd_core.models.zoo_names import own_names

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def conv(name, bias=False):
    return [f"{name}.weight"] + ([f"{name}.bias"] if bias else [])


def norm(name):
    return [f"{name}.{each}" for each in NORM]


def convs(place, count):
    """conv1, bn1, conv2, bn2, …"""
    return [name for at in range(1, count + 1) for name in (*conv(f"{place}conv{at}"), *norm(f"{place}bn{at}"))]


def resnet(blocks, convolutions, widened, shortcut, head):
    """``widened``: whether the first stage's first block has a shortcut too."""
    names = convs("", 1)
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            names += convs(f"layer{stage}.{block}.", convolutions)
            if block == 0 and (stage > 1 or widened):
                names += conv(f"layer{stage}.0.{shortcut}.0") + norm(f"layer{stage}.0.{shortcut}.1")
    return names + conv(head, bias=True)


def wrn(count, widened):
    names = conv("conv1")
    for stage in (1, 2, 3):
        for block in range(count):
            place = f"block{stage}.layer.{block}."
            names += [*norm(f"{place}bn1"), *conv(f"{place}conv1"), *norm(f"{place}bn2"), *conv(f"{place}conv2")]
            names += conv(f"{place}convShortcut") if block == 0 and (stage > 1 or widened) else []
    return names + norm("bn1") + conv("fc", bias=True)


def vgg(blocks):
    names = []
    for block, count in enumerate(blocks):
        for at in range(count):
            names += conv(f"block{block}.{3 * at}", bias=True) + norm(f"block{block}.{3 * at + 1}")
    return names + conv("classifier", bias=True)


def mobilenet(head):
    names = conv("conv1.0") + norm("conv1.1")
    for block, count in enumerate((1, 2, 3, 4, 3, 3, 1)):
        for unit in range(count):
            for at in (0, 3, 6):
                names += conv(f"blocks.{block}.{unit}.conv.{at}") + norm(f"blocks.{block}.{unit}.conv.{at + 1}")
    return names + conv("conv2.0") + norm("conv2.1") + conv(head, bias=True)


def shufflenet(first, units, last):
    names = convs("", 1)
    for stage, count in enumerate(units, start=1):
        for unit in range(count):
            names += convs(f"layer{stage}.{unit}.", first if unit == 0 else 3)
    return names + (conv("conv2") + norm("bn2") if last else []) + conv("linear", bias=True)


ZOO = {
    **{f"resnet{6 * n + 2}": resnet((n, n, n), 2, False, "downsample", "fc") for n in (1, 2, 3, 5, 7, 9, 18)},
    **{f"resnet{6 * n + 2}x4": resnet((n, n, n), 2, True, "downsample", "fc") for n in (1, 5)},
    "ResNet18": resnet((2, 2, 2, 2), 2, False, "shortcut", "linear"),
    "ResNet34": resnet((3, 4, 6, 3), 2, False, "shortcut", "linear"),
    "ResNet50": resnet((3, 4, 6, 3), 3, True, "shortcut", "linear"),
    "wrn_16_1": wrn(2, False),
    "wrn_16_2": wrn(2, True),
    "wrn_28_4": wrn(4, True),
    "wrn_40_1": wrn(6, False),
    "wrn_40_2": wrn(6, True),
    "vgg8": vgg((1, 1, 1, 1, 1)),
    "vgg11": vgg((1, 1, 2, 2, 2)),
    "vgg13": vgg((2, 2, 2, 2, 2)),
    "vgg16": vgg((2, 2, 3, 3, 3)),
    "vgg19": vgg((2, 2, 4, 4, 4)),
    "mobilenet_v2_x0_5": mobilenet("classifier.0"),
    "mobilenet_v2": mobilenet("classifier"),
    "shufflenet_v1": shufflenet(3, (4, 8, 4), last=False),
    "shufflenet_v2": shufflenet(5, (4, 8, 4), last=True),
}


def test_every_network_of_ours_is_there():
    """RegNets are in later zoos (test_regnet.py); those of torchvision keep its names."""
    assert ZOO.keys() == {name for name, info in MODELS.items() if info.family not in ("regnet", "vit", "swin", "convnext")}


@pytest.mark.parametrize("model", ZOO)
def test_each_tensor_has_its_place_in_the_order_of_the_layers(model):
    ours = list(build(model, channels=3, classes=100).state_dict())
    names = own_names(ZOO[model])
    assert list(names.values()) == ours


@pytest.mark.parametrize("model", ["resnet8x4", "wrn_16_2", "vgg8", "shufflenet_v2"])
def test_a_published_file_makes_the_same_network(tmp_path, model):
    """As their training scripts save it; and of an old torch, without the counters of batch normalisation."""
    torch.manual_seed(0)
    network, other = build(model, channels=3, classes=100).eval(), build(model, channels=3, classes=100).eval()
    tensors = dict(zip(ZOO[model], network.state_dict().values(), strict=True))
    torch.save({"epoch": 240, "model": tensors, "best_acc": torch.tensor(75.6)}, tmp_path / "ckpt_epoch_240.pth")
    assert fill(other, read(tmp_path / "ckpt_epoch_240.pth"))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(other(images), network(images))
    old = {f"module.{name}": tensor for name, tensor in tensors.items() if "num_batches_tracked" not in name}
    torch.manual_seed(1)
    third = build(model, channels=3, classes=100).eval()
    assert fill(third, old)
    assert torch.equal(third(images), network(images))


def test_another_network_of_the_zoo_is_refused():
    network = build("resnet20", channels=3, classes=100)
    for model in ("resnet32", "ResNet18", "vgg8"):
        tensors = dict(zip(ZOO[model], build(model, channels=3, classes=100).state_dict().values(), strict=True))
        with pytest.raises(ValueError, match="the weights do not fit the network"):
            fill(network, tensors)


def test_two_tensors_for_one_place_are_no_file_of_the_zoo():
    tensors = dict.fromkeys([*ZOO["resnet8x4"], "layer2.0.shortcut.0.weight"], torch.zeros(1))
    with pytest.raises(ValueError, match=r"not the network's: bn1\.bias"):
        fill(build("resnet8x4", channels=3, classes=100), tensors)
