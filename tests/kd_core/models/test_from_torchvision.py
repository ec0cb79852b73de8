"""torchvision's classifiers say what they say in torchvision, and are observed at their stages."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from kd_core.models.from_torchvision import OPTIONS, TorchvisionNetwork
from kd_core.models.network import shape_of
from kd_core.models.table import build, model_info
from kd_core.models.torchvision_names import FIXED, LARGER, TORCHVISION, TRANSFORMERS
from kd_core.vision import models

STAGES = {  # one of each kind, small ones; (channels, side) of the stages at the smallest size, or (tokens, width)
    "alexnet": {"features.1": (64, 15), "features.4": (192, 7), "features.11": (256, 3), "features": (256, 1)},
    "convnext_tiny": {"features.1": (96, 8), "features.3": (192, 4), "features.5": (384, 2), "features": (768, 1)},
    "efficientnet_b0": {
        "features.1": (16, 16),
        "features.2": (24, 8),
        "features.3": (40, 4),
        "features.5": (112, 2),
        "features": (1280, 1),
    },
    "googlenet": {
        "conv1": (64, 16),
        "conv3": (192, 8),
        "inception3b": (480, 4),
        "inception4e": (832, 2),
        "inception5b": (1024, 1),
    },
    "mobilenet_v3_small": {
        "features.0": (16, 16),
        "features.1": (16, 8),
        "features.3": (24, 4),
        "features.8": (48, 2),
        "features": (576, 1),
    },
    "resnet18": {"relu": (64, 16), "layer1": (64, 8), "layer2": (128, 4), "layer3": (256, 2), "layer4": (512, 1)},
    "shufflenet_v2_x0_5": {"conv1": (24, 16), "maxpool": (24, 8), "stage2": (48, 4), "stage3": (96, 2), "conv5": (1024, 1)},
    "squeezenet1_1": {"features.1": (64, 15), "features.4": (128, 7), "features.7": (256, 3), "features": (512, 1)},
    "swin_t": {"features.1": (96, 8), "features.3": (192, 4), "features.5": (384, 2), "permute": (768, 1)},
    "vit_b_32": {f"encoder.layers.encoder_layer_{block}": (50, 768) for block in (1, 3, 9, 11)},
}
OWN_CLASSIFIER = ("squeezenet1_1",)  # one that is not torchvision's
CLASSES = 7


def original(name: str) -> nn.Module:
    torch.manual_seed(0)
    return models.get_model(name, weights=None, num_classes=CLASSES, **OPTIONS.get(name, {}))


def images(name: str, channels: int = 3) -> torch.Tensor:
    size = model_info(f"torchvision:{name}").smallest
    return torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=STAGES)
def built(request: pytest.FixtureRequest) -> tuple[str, TorchvisionNetwork]:
    torch.manual_seed(0)
    return request.param, build(f"torchvision:{request.param}", channels=3, classes=CLASSES)


def test_the_names_are_torchvisions() -> None:
    assert sorted(TORCHVISION) == models.list_models(module=models)
    assert LARGER.keys() | set(FIXED) <= set(TORCHVISION)
    assert {name for name in TORCHVISION if name.startswith("vit_")} == set(TRANSFORMERS)


def test_it_says_what_torchvision_says(built: tuple[str, TorchvisionNetwork]) -> None:
    name, network = built
    network.eval()
    with torch.no_grad():
        logits_BK = network(images(name))
        assert torch.equal(copy.deepcopy(network)(images(name)), logits_BK)
        if name not in OWN_CLASSIFIER:
            assert torch.equal(original(name).eval()(images(name)), logits_BK)


def test_parameters_keep_their_names(built: tuple[str, TorchvisionNetwork]) -> None:
    name, network = built
    if name in OWN_CLASSIFIER:
        pytest.skip("torchvision's has another last layer")
    own = {f"body.{key}" for key in original(name).state_dict() if not key.startswith(network.head_name)}
    assert own | {"head.weight", "head.bias"} == network.state_dict().keys()


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_stages(built: tuple[str, TorchvisionNetwork], training: bool) -> None:
    name, network = built
    network.train(training)
    with torch.no_grad():
        seen = network.observe(images(name))
    shapes = [tuple(feature.shape[1:]) for feature in seen.features]
    tokens = model_info(f"torchvision:{name}").tokens
    expected = {stage: shape if tokens else (shape[0], shape[1], shape[1]) for stage, shape in STAGES[name].items()}
    assert dict(zip(network.stage_names, shapes, strict=True)) == expected
    assert torch.equal(network.head(seen.embedding_BD), seen.logits_BK)


def test_gradient_reaches_every_parameter(built: tuple[str, TorchvisionNetwork]) -> None:
    name, network = built
    network.train().zero_grad()
    logits_BK = network(images(name))
    assert logits_BK.isfinite().all()
    nn.functional.cross_entropy(logits_BK, torch.arange(4)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_grey_images_are_repeated(built: tuple[str, TorchvisionNetwork]) -> None:
    name, network = built
    network.eval()
    grey_B1HW = images(name, channels=1)
    with torch.no_grad():
        assert torch.equal(network(grey_B1HW), network(grey_B1HW.repeat(1, 3, 1, 1)))


def test_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or 3 channels, but got 4"):
        build("torchvision:resnet18", channels=4, classes=CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_every_classifier_has_stages(name: str) -> None:
    """Maps shrink from stage to stage but for a transformer of one grid, there are at least four, and the head fits."""
    network = build(f"torchvision:{name}", channels=1, classes=CLASSES)
    size = model_info(f"torchvision:{name}").smallest
    shape = shape_of(network, (1, size, size))
    sizes = set(shape.sizes) if name in TRANSFORMERS else shape.sizes  # all of whose stages have one grid
    assert list(sizes) == sorted(set(shape.sizes), reverse=True)
    assert len(shape.sizes) >= 4
    assert shape.embedding == network.head.in_features
    assert shape.classes == CLASSES
