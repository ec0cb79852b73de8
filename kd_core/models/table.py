"""Every model by its name in YAML. Reading this table imports no torch; :func:`build` does.

Besides the networks of the CIFAR literature: ``torchvision:NAME``, any of torchvision's classifiers, and ``timm:NAME``, any of
timm's with a linear head, where timm is installed.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from kd_core.models.info import ModelInfo
from kd_core.models.torchvision_names import FIXED, LARGER, TORCHVISION, TRANSFORMERS

if TYPE_CHECKING:
    from kd_core.models.network import Network


def _resnet(count: int, parameters: int, stem: int = 16, times: int = 1) -> ModelInfo:
    description = f"ResNet for 32×32, {6 * count + 2} layers" + (f", {times} times as wide" if times > 1 else "")
    widths = tuple(times * width for width in (16, 32, 64))
    arguments = {"stem": stem, "widths": widths, "blocks": (count,) * 3}
    return ModelInfo("resnet", description, arguments, 4, parameters, strides=(1, 2, 4), embedding=widths[-1])


def _imagenet_resnet(layers: int, blocks: tuple[int, ...], parameters: int, bottleneck: bool = False) -> ModelInfo:
    description = f"the ImageNet ResNet of {layers} layers with a stem for 32×32"
    arguments = {"stem": 64, "widths": (64, 128, 256, 512), "blocks": blocks, "bottleneck": bottleneck}
    embedding = 2048 if bottleneck else 512
    return ModelInfo("resnet", description, arguments, 8, parameters, strides=(1, 2, 4, 8), embedding=embedding)


def _wrn(depth: int, width: int, parameters: int) -> ModelInfo:
    arguments, strides = {"depth": depth, "width": width}, (1, 2, 4)
    return ModelInfo("wrn", f"wide ResNet {depth}-{width}", arguments, 4, parameters, strides=strides, embedding=64 * width)


def _vgg(layers: int, blocks: tuple[int, ...], parameters: int) -> ModelInfo:
    description = f"VGG with batch normalisation, {layers} layers"
    return ModelInfo("vgg", description, {"blocks": blocks}, 8, parameters, strides=(1, 2, 4, 8), embedding=512)


def _mobilenet(width: float, description: str, parameters: int) -> ModelInfo:
    return ModelInfo("mobilenet", description, {"width": width}, 16, parameters, strides=(2, 4, 8, 16), embedding=1280)


def _regnet(name: str, widths: tuple[int, ...], blocks: tuple[int, ...], group: int, parameters: int) -> ModelInfo:
    arguments: dict[str, Any] = {"widths": widths, "blocks": blocks, "group": group}
    arguments |= {"squeezes": True} if name.startswith("Y") else {}
    return ModelInfo(
        "regnet", f"RegNet{name} with a stem for 32×32", arguments, 4, parameters, strides=(1, 1, 2, 4), embedding=widths[-1]
    )


def _vit(
    description: str, image: int, patch: int, depth: int, width: int, heads: int, hidden: int, parameters: int
) -> ModelInfo:
    sizes = {"image": image, "patch": patch, "depth": depth, "width": width, "heads": heads, "hidden": hidden}
    strides = (patch,) * 4
    return ModelInfo("vit", description, sizes, image, parameters, None, strides, width, larger=False, tokens=True)


MODELS: dict[str, ModelInfo] = {
    "resnet8": _resnet(1, 83_892),
    "resnet14": _resnet(2, 181_108),
    "resnet20": _resnet(3, 278_324),
    "resnet32": _resnet(5, 472_756),
    "resnet44": _resnet(7, 667_188),
    "resnet56": _resnet(9, 861_620),
    "resnet110": _resnet(18, 1_736_564),
    "resnet8x4": _resnet(1, 1_233_540, stem=32, times=4),
    "resnet32x4": _resnet(5, 7_433_860, stem=32, times=4),
    "ResNet18": _imagenet_resnet(18, (2, 2, 2, 2), 11_220_132),
    "ResNet34": _imagenet_resnet(34, (3, 4, 6, 3), 21_328_292),
    "ResNet50": _imagenet_resnet(50, (3, 4, 6, 3), 23_705_252, bottleneck=True),
    "wrn_16_1": _wrn(16, 1, 180_916),
    "wrn_16_2": _wrn(16, 2, 703_284),
    "wrn_28_4": _wrn(28, 4, 5_872_180),
    "wrn_40_1": _wrn(40, 1, 569_780),
    "wrn_40_2": _wrn(40, 2, 2_255_156),
    "vgg8": _vgg(8, (1, 1, 1, 1, 1), 3_965_028),
    "vgg11": _vgg(11, (1, 1, 2, 2, 2), 9_277_284),
    "vgg13": _vgg(13, (2, 2, 2, 2, 2), 9_462_180),
    "vgg16": _vgg(16, (2, 2, 3, 3, 3), 14_774_436),
    "vgg19": _vgg(19, (2, 2, 4, 4, 4), 20_086_692),
    "mobilenet_v2_x0_5": _mobilenet(0.5, "MobileNetV2 at half width", 812_836),
    "mobilenet_v2": _mobilenet(1.0, "MobileNetV2", 2_353_060),
    "shufflenet_v1": ModelInfo("shufflenet_v1", "ShuffleNet 1×, 3 groups", {}, 8, 949_258, strides=(2, 4, 8), embedding=960),
    "shufflenet_v2": ModelInfo("shufflenet_v2", "ShuffleNetV2 1×", {}, 8, 1_355_528, strides=(2, 4, 8), embedding=1024),
    "RegNetX_200MF": _regnet("X, 200 MF", (24, 56, 152, 368), (1, 1, 4, 7), 8, 2_355_156),
    "RegNetX_400MF": _regnet("X, 400 MF", (32, 64, 160, 384), (1, 2, 7, 12), 16, 4_813_988),
    "RegNetY_400MF": _regnet("Y, 400 MF", (32, 64, 160, 384), (1, 2, 7, 12), 16, 5_749_012),
    "vit_tiny_patch16_224": _vit("DeiT-tiny, without its distillation token", 224, 16, 12, 192, 3, 768, 5_543_716),
    "vit_tiny_patch4_32": _vit("the same for 32×32", 32, 4, 12, 192, 3, 768, 5_380_132),
    "vit_lite_7_patch4_32": _vit("ViT-Lite-7/4, for 32×32", 32, 4, 7, 256, 4, 512, 3_745_380),
    "swin_tiny_patch2_window4": ModelInfo(
        "swin",
        "Swin-tiny with patches and windows for 32×32",
        {"patch": 2, "window": 4, "width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24)},
        16,
        27_576_238,
        strides=(2, 4, 8, 16),
        embedding=768,
    ),
    "convnext_tiny_patch2": ModelInfo(
        "convnext",
        "ConvNeXt-tiny with a stem for 32×32",
        {"patch": 2, "widths": (96, 192, 384, 768), "blocks": (3, 3, 9, 3)},
        16,
        27_893_572,
        strides=(2, 4, 8, 16),
        embedding=768,
    ),
}


def model_names() -> tuple[str, ...]:
    """The names that can be built here whatever is installed; ``timm:NAME`` comes on top."""
    return (*MODELS, *(f"torchvision:{name}" for name in TORCHVISION))


def check_name(name: str) -> str | None:
    """What is wrong with a model's name, in a sentence; None if nothing is. torch is imported only for timm's names."""
    library, _, own = name.rpartition(":")
    if library == "timm":
        if importlib.util.find_spec("timm") is None:
            return f"`{name}`: timm is not installed: pip install timm"
        import timm

        return None if timm.is_model(own) else _unknown(name, [f"timm:{other}" for other in timm.list_models()])
    return None if name in model_names() else _unknown(name, model_names())


def _unknown(name: str, known: Any) -> str:
    by_case = {other.casefold(): other for other in known}
    near = [by_case[folded] for folded in difflib.get_close_matches(name.casefold(), by_case, n=3)]
    return f"there is no model `{name}`" + (f"; did you mean {', '.join(near)}?" if near else "")


def model_info(name: str) -> ModelInfo:
    """What is known of a model without building it.

    Raises:
        ValueError: with the sentence of :func:`check_name`.
    """
    if problem := check_name(name):
        raise ValueError(problem)
    library, _, own = name.rpartition(":")
    if library == "torchvision":
        tokens = own in TRANSFORMERS
        return ModelInfo(
            "from_torchvision",
            f"torchvision's {own}",
            {"name": own},
            LARGER.get(own, 32),
            larger=own not in FIXED,
            tokens=tokens,
            version=2 if tokens else 1,  # 1 said one map, of the last tokens
        )
    if library == "timm":
        return ModelInfo("from_timm", f"timm's {own}", {"name": own})
    return MODELS[name]


def build(name: str, *, channels: int, classes: int) -> Network:
    """A freshly initialised network, from the generator state that torch has now.

    Raises:
        ValueError: if there is no such model, or it cannot be observed with these channels.
    """
    return built(name, model_info(name), channels=channels, classes=classes)


def built(name: str, info: ModelInfo, *, channels: int, classes: int) -> Network:
    """As :func:`build`, of an entry that need not be in the table."""
    if info.make:
        from kd_core.models.staged import staged

        return staged(name, info, channels=channels, classes=classes)
    module = importlib.import_module(f"kd_core.models.{info.family}")
    network: Network = module.build(channels=channels, classes=classes, **info.arguments)
    return network
