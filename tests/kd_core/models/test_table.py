"""Laws that every network of the zoo obeys."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from kd_core.models.network import Network, shape_of
from kd_core.models.table import MODELS, build, check_name, model_info, model_names

# Millions of parameters at 100 classes, published with the zoo (Tian et al. 2020, arXiv 1910.10699, and its successors).
PUBLISHED = {
    "resnet8": 0.08,
    "resnet14": 0.18,
    "resnet20": 0.28,
    "resnet32": 0.47,
    "resnet44": 0.67,
    "resnet56": 0.86,
    "resnet110": 1.74,
    "resnet8x4": 1.23,
    "resnet32x4": 7.43,
    "wrn_16_1": 0.18,
    "wrn_16_2": 0.70,
    "wrn_40_1": 0.57,
    "wrn_40_2": 2.26,
    "vgg8": 3.96,  # 3,965,028, cut off where the others are rounded
    "vgg13": 9.46,
    "mobilenet_v2_x0_5": 0.81,
    "shufflenet_v1": 0.95,
    "shufflenet_v2": 1.36,
    "ResNet50": 23.71,
}

WIDTHS = {  # channels of the stages; the sides of their maps at 32×32 follow
    **dict.fromkeys(["resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"], (16, 32, 64)),
    **dict.fromkeys(["resnet8x4", "resnet32x4", "wrn_28_4"], (64, 128, 256)),
    **dict.fromkeys(["wrn_16_1", "wrn_40_1"], (16, 32, 64)),
    **dict.fromkeys(["wrn_16_2", "wrn_40_2"], (32, 64, 128)),
    **dict.fromkeys(["vgg8", "vgg11", "vgg13", "vgg16", "vgg19", "ResNet18", "ResNet34"], (64, 128, 256, 512)),
    "ResNet50": (256, 512, 1024, 2048),
    "mobilenet_v2_x0_5": (12, 16, 48, 160),
    "mobilenet_v2": (24, 32, 96, 320),
    "shufflenet_v1": (240, 480, 960),
    "shufflenet_v2": (116, 232, 464),
    "RegNetX_200MF": (24, 56, 152, 368),
    **dict.fromkeys(["RegNetX_400MF", "RegNetY_400MF"], (32, 64, 160, 384)),
}
SIDES = {
    "resnet": (32, 16, 8, 4),
    "wrn": (32, 16, 8),
    "vgg": (32, 16, 8, 4),
    "mobilenet": (16, 8, 4, 2),
    "regnet": (32, 32, 16, 8),
}
EMBEDDINGS = {"mobilenet_v2_x0_5": 1280, "mobilenet_v2": 1280, "shufflenet_v2": 1024}

every_model = pytest.mark.parametrize("name", MODELS)
OURS = [name for name, info in MODELS.items() if info.family not in ("vit", "swin", "convnext")]
every_one_of_ours = pytest.mark.parametrize("name", OURS)  # torchvision's are in test_transformers.py


def seeded(name: str, channels: int = 3, classes: int = 10, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build(name, channels=channels, classes=classes)


def images(samples: int, channels: int, size: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(samples, channels, size, size, generator=torch.Generator().manual_seed(seed))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@every_model
def test_parameters_at_100_classes(name: str) -> None:
    with torch.device("meta"):
        exact = parameters(build(name, channels=3, classes=100))
    assert exact == MODELS[name].parameters
    if name in PUBLISHED:
        assert PUBLISHED[name] in (round(exact / 1e6, 2), math.floor(exact / 1e4) / 100)


def test_every_published_count_is_checked() -> None:
    assert PUBLISHED.keys() <= MODELS.keys()


def test_parameters_of_resnet20_by_hand() -> None:
    stem = 9 * 3 * 16 + 2 * 16
    stage1 = 6 * (9 * 16 * 16 + 2 * 16)
    stage2 = 9 * 16 * 32 + 5 * 9 * 32 * 32 + 16 * 32 + 7 * 2 * 32  # the shortcut is a convolution and a norm too
    stage3 = 9 * 32 * 64 + 5 * 9 * 64 * 64 + 32 * 64 + 7 * 2 * 64
    assert MODELS["resnet20"].parameters == stem + stage1 + stage2 + stage3 + 64 * 100 + 100


@every_one_of_ours
def test_stages_at_32(name: str) -> None:
    with torch.device("meta"):
        network = build(name, channels=3, classes=10)
    shape = shape_of(network, (3, 32, 32))
    sides = SIDES.get(MODELS[name].family, (16, 8, 4))
    expected = tuple((width, side, side) for width, side in zip(WIDTHS[name], sides, strict=False))
    assert shape.stages == expected
    assert shape.embedding == EMBEDDINGS.get(name, WIDTHS[name][-1]) == MODELS[name].embedding
    assert tuple(32 // height for height, _ in shape.sizes) == MODELS[name].strides
    assert shape.classes == 10
    assert len(network.stage_names) == len(set(network.stage_names)) == len(expected)


@every_one_of_ours
def test_the_smallest_image_ends_in_one_position(name: str) -> None:
    with torch.device("meta"):
        network = build(name, channels=1, classes=10)
    smallest = MODELS[name].smallest
    sides = [height for height, _ in shape_of(network, (1, smallest, smallest)).sizes]
    assert sorted(set(sides), reverse=True) == [2**exponent for exponent in reversed(range(len(set(sides))))]


@every_one_of_ours
@pytest.mark.parametrize(("channels", "size"), [(1, None), (3, 32)], ids=["smallest", "32"])
def test_gradient_reaches_every_parameter(name: str, channels: int, size: int | None) -> None:
    network = seeded(name, channels).train()
    logits_BK = network(images(4, channels, size or MODELS[name].smallest))
    assert logits_BK.shape == (4, 10)
    assert logits_BK.isfinite().all()
    nn.functional.cross_entropy(logits_BK, torch.tensor([0, 1, 2, 3])).backward()
    still = [path for path, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@every_one_of_ours
def test_what_it_says_fits_together(name: str) -> None:
    """The head reads the embedding, no stage's map is overwritten by a later layer, and samples do not see each other."""
    network = seeded(name).eval()
    made: list[torch.Tensor] = []
    for stage in network.stages:
        stage.register_forward_hook(lambda module, inputs, output: made.append(output.clone()))
    images_BCHW = images(3, 3, MODELS[name].smallest)
    with torch.no_grad():
        seen = network.observe(images_BCHW)
        torch.testing.assert_close(network.head(seen.embedding_BD), seen.logits_BK)
        for said, stage_made in zip(seen.features, made, strict=True):
            torch.testing.assert_close(said, stage_made, rtol=0, atol=0)
        alone = torch.cat([network(image_CHW[None]) for image_CHW in images_BCHW])
    scale = seen.logits_BK.abs().max()
    torch.testing.assert_close(alone / scale, seen.logits_BK / scale)


@every_model
def test_weights_follow_the_seed(name: str) -> None:
    first, same, other = (seeded(name, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@every_one_of_ours
def test_what_lies_before_the_activation_that_a_stage_ends_in(name: str) -> None:
    """Of wide networks it is what the next block normalises first; MobileNetV2's stages end in none."""
    network = seeded(name).eval()
    images_BCHW = images(2, 3, 32)
    with torch.no_grad():
        plain, asked = network.observe(images_BCHW), network.observe(images_BCHW, before=True)
    assert plain.before == ()
    assert len(asked.before) == len(asked.features)
    torch.testing.assert_close(asked.logits_BK, plain.logits_BK)
    for before, features, again in zip(asked.before, plain.features, asked.features, strict=True):
        torch.testing.assert_close(again, features)
        assert (before < 0).any()
        if name.startswith("mobilenet"):
            assert torch.equal(before, again)
        elif not name.startswith("wrn"):
            torch.testing.assert_close(before.relu(), features)
    if name.startswith("wrn"):
        torch.testing.assert_close(asked.before[-1].relu(), asked.last_BCHW)


@pytest.mark.parametrize("name", ["resnet8", "ResNet50", "vgg8", "shufflenet_v1", "shufflenet_v2"])
def test_features_lie_behind_the_activation(name: str) -> None:
    seen = seeded(name).eval().observe(images(2, 3, 32))
    assert all(feature.min() == 0 for feature in seen.features)


@pytest.mark.parametrize(("name", "width"), [("resnet8x4", 256), ("wrn_16_2", 128), ("vgg8", 512), ("mobilenet_v2", 320)])
def test_convolutions_start_from_the_literature(name: str, width: int) -> None:
    """The last 3×3 (or, of MobileNetV2, 1×1 linear) convolution has weights of variance 2 / (k²·outputs)."""
    convolutions = [m for m in seeded(name).modules() if isinstance(m, nn.Conv2d) and m.out_channels == width]
    weight = convolutions[-1].weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (weight[0, 0].numel() * width)), rel=0.02)
    assert abs(weight.mean().item()) < 0.02 * weight.std().item()


def test_the_table_is_read_without_torch() -> None:
    code = (
        "import sys; from kd_core.models import table; "
        "assert all(table.check_name(name) is None and table.model_info(name) for name in table.model_names()); "
        "assert table.check_name('torchvision:resnet19') and table.check_name('timm:none'); "
        "assert not {'torch', 'torchvision'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names() -> None:
    assert len(set(model_names())) == len(MODELS) + 80
    assert check_name("resnet20") is None
    assert check_name("resnet18") == "there is no model `resnet18`; did you mean ResNet18, resnet8, resnet14?"
    assert "did you mean torchvision:mobilenet_v2" in check_name("torchvision:mobilnet_v2")
    assert check_name("a") == "there is no model `a`"
    assert check_name("torchvision:") is not None
    assert check_name("caffe:resnet20") is not None


def test_an_unknown_model_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="no model `resnet21`"):
        build("resnet21", channels=3, classes=10)


def test_what_is_known_of_torchvision_models() -> None:
    assert model_info("torchvision:inception_v3").smallest == 75
    assert model_info("torchvision:resnet18").smallest == 32
