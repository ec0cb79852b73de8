"""Vision transformers, Swin and ConvNeXt at sizes that torchvision has no name for: the laws, and published counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kd_core.knowledge import spatial_size
from kd_core.laws.models import MODEL_LAWS, Case
from kd_core.models.network import shape_of
from kd_core.models.table import MODELS, build, model_info

NAMES = [name for name, info in MODELS.items() if info.family in ("vit", "swin", "convnext")]
PUBLISHED = {  # parameters at so many classes, of the paper that the name comes from
    ("vit_tiny_patch16_224", 1000): 5.7,  # DeiT-Ti, arXiv 2012.12877, table 1
    ("vit_lite_7_patch4_32", 10): 3.72,  # ViT-Lite-7/4, arXiv 2104.05704, table 1
    ("torchvision:swin_t", 1000): 28.3,  # arXiv 2103.14030, table 1: 28 or 29
    ("torchvision:convnext_tiny", 1000): 28.6,  # arXiv 2201.03545, table 1: 29
}
STAGES = {
    "vit_tiny_patch16_224": ((197, 192),) * 4,
    "vit_tiny_patch4_32": ((65, 192),) * 4,
    "vit_lite_7_patch4_32": ((65, 256),) * 4,
    "swin_tiny_patch2_window4": ((96, 16, 16), (192, 8, 8), (384, 4, 4), (768, 2, 2)),
    "convnext_tiny_patch2": ((96, 16, 16), (192, 8, 8), (384, 4, 4), (768, 2, 2)),
}


@pytest.mark.parametrize(("name", "classes"), PUBLISHED)
def test_published_counts(name: str, classes: int) -> None:
    with torch.device("meta"):
        found = sum(parameter.numel() for parameter in build(name, channels=3, classes=classes).parameters()) / 1e6
    published = PUBLISHED[name, classes]
    assert round(found, len(str(published).partition(".")[2])) == published


@pytest.mark.parametrize("name", NAMES)
def test_stages(name: str) -> None:
    side = max(32, MODELS[name].smallest)
    with torch.device("meta"):
        shape = shape_of(build(name, channels=3, classes=10), (3, side, side))
    assert shape.stages == STAGES[name]
    assert MODELS[name].tokens == (len(shape.stages[0]) == 2)
    assert MODELS[name].strides == tuple(side // height for height, _ in shape.sizes)
    assert MODELS[name].embedding == shape.embedding


@pytest.mark.parametrize("law", MODEL_LAWS)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("vit_tiny_patch16_224", "vit_tiny_patch4_32")])
def test_laws(law: str, name: str) -> None:
    MODEL_LAWS[law].check(Case(name, MODELS[name]))


def test_the_embedding_is_the_class_token_behind_the_last_normalisation() -> None:
    torch.manual_seed(0)
    network = build("vit_lite_7_patch4_32", channels=3, classes=10).eval()
    assert network.stage_names == tuple(f"encoder.layers.encoder_layer_{block}" for block in (0, 1, 5, 6))
    with torch.no_grad():
        seen = network.observe(torch.randn(2, 3, 32, 32))
        torch.testing.assert_close(network.body.encoder.ln(seen.features[-1])[:, 0], seen.embedding_BD)


def test_linear_layers_start_small_and_the_head_not_at_zero() -> None:
    torch.manual_seed(0)
    network = build("vit_lite_7_patch4_32", channels=3, classes=100)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_what_takes_which_images() -> None:
    assert model_info("vit_tiny_patch4_32").refusal(64) == "takes images of 32×32 alone"
    assert model_info("torchvision:vit_b_16").refusal(32) == "takes images of 224×224 alone"
    assert model_info("torchvision:maxvit_t").refusal(448) == "takes images of 224×224 alone"
    assert model_info("swin_tiny_patch2_window4").refusal(8) == "takes images from 16×16 on"
    assert not any(model_info(name).refusal(32) for name in NAMES if name != "vit_tiny_patch16_224")


def test_the_size_of_tokens_is_that_of_their_patches() -> None:
    assert spatial_size((197, 192)) == (14, 14)
    assert spatial_size((64, 8, 4)) == (8, 4)


def test_channels_other_than_one_or_three_are_refused() -> None:
    for name in ("vit_lite_7_patch4_32", "swin_tiny_patch2_window4", "convnext_tiny_patch2"):
        with pytest.raises(ValueError, match="1 or 3 channels, but got 2"):
            build(name, channels=2, classes=10)
