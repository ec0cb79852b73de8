"""What a forward pass costs, known without building a network: for telling which of two trainings takes longer."""

from __future__ import annotations

MILLIONS = {  # of multiplications of convolutions and linear layers, for an image of 3×32×32
    "resnet8": 12.5,
    "resnet14": 26.7,
    "resnet20": 40.8,
    "resnet32": 69.1,
    "resnet44": 97.4,
    "resnet56": 126,
    "resnet110": 253,
    "resnet8x4": 177,
    "resnet32x4": 1080,
    "ResNet18": 555,
    "ResNet34": 1160,
    "ResNet50": 1300,
    "wrn_16_1": 26.7,
    "wrn_16_2": 101,
    "wrn_28_4": 846,
    "wrn_40_1": 83.3,
    "wrn_40_2": 328,
    "vgg8": 96.2,
    "vgg11": 209,
    "vgg13": 285,
    "vgg16": 398,
    "vgg19": 511,
    "mobilenet_v2_x0_5": 6.52,
    "mobilenet_v2": 22.4,
    "shufflenet_v1": 38.7,
    "shufflenet_v2": 44.5,
    "RegNetX_200MF": 223,
    "RegNetX_400MF": 466,
    "RegNetY_400MF": 467,
    "vit_tiny_patch16_224": 21.9,
    "vit_tiny_patch4_32": 346,
    "vit_lite_7_patch4_32": 120,
    "swin_tiny_patch2_window4": 415,
    "convnext_tiny_patch2": 363,
}
TYPICAL = 100.0  # of a network of torchvision or timm, which is not in the table


def multiplications(model: str, size: int) -> float:
    """About how many multiplications a forward pass of an image of size × size takes: they grow with its area."""
    return 1e6 * MILLIONS.get(model, TYPICAL) * (size / 32) ** 2
