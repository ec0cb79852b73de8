"""timm's classifiers, where timm is installed."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import nn

from kd_core.models.table import build, check_name

HAVE_TIMM = importlib.util.find_spec("timm") is not None
needs_timm = pytest.mark.skipif(not HAVE_TIMM, reason="timm is not installed")


def test_timm_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert check_name("timm:resnet18") == "`timm:resnet18`: timm is not installed: pip install timm"
    with pytest.raises(ValueError, match="pip install timm"):
        build("timm:resnet18", channels=3, classes=5)


@needs_timm
@pytest.mark.parametrize(
    ("name", "size", "stages"),
    [
        ("resnet18", 32, {"act1": 16, "layer1": 8, "layer2": 4, "layer3": 2, "layer4": 1}),
        ("convnext_atto", 32, {"stages.0": 8, "stages.1": 4, "stages.2": 2, "stages.3": 1}),
        ("vit_tiny_patch16_224", 224, {"blocks.11": 14}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_says_what_timm_says(name: str, size: int, stages: dict[str, int], channels: int) -> None:
    from kd_core.models.from_timm import timm

    torch.manual_seed(0)
    network = build(f"timm:{name}", channels=channels, classes=5)
    torch.manual_seed(0)
    original = timm.create_model(name, num_classes=5, in_chans=channels)
    images_BCHW = torch.randn(2, channels, size, size)
    with torch.no_grad():
        seen = network.eval().observe(images_BCHW)
        assert torch.equal(seen.logits_BK, original.eval()(images_BCHW))
    assert torch.equal(seen.logits_BK, network.head(seen.embedding_BD))
    assert {path: f.shape[2] for path, f in zip(network.stage_names, seen.features, strict=True)} == stages
    nn.functional.cross_entropy(network.train()(images_BCHW), torch.tensor([0, 1])).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@needs_timm
def test_names_are_timms() -> None:
    assert check_name("timm:resnet18.a1_in1k") is None
    assert "did you mean timm:resnet" in check_name("timm:resnet_18")


@needs_timm
def test_a_head_that_is_not_linear_is_refused() -> None:
    with pytest.raises(ValueError, match="must end in one linear layer to be observed, but ends in Conv2d"):
        build("timm:resnetv2_50", channels=3, classes=5)
