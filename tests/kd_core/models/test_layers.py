"""The blocks of each family with weights so simple that their outputs are worked out by hand.

Images are one pixel: of a 3×3 convolution only the middle weight counts. Normalisation is the identity (evaluation mode, mean
0, variance 1; its ε of 1e-5 is within the tolerance).
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kd_core.models import mobilenet, resnet, shufflenet_v1, shufflenet_v2, wrn


def with_weights(block: nn.Module, *weights: float) -> nn.Module:
    """``block`` in evaluation mode, its i-th convolution w_i times the identity, or w_i everywhere where that is not square."""
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    for convolution, weight in zip(convolutions, weights, strict=True):
        outputs, inputs = convolution.weight.shape[:2]
        matrix = torch.eye(outputs) if outputs == inputs else torch.ones(outputs, inputs)
        nn.init.zeros_(convolution.weight)
        middle = convolution.kernel_size[0] // 2
        convolution.weight.data[:, :, middle, middle] = weight * matrix
    return block.eval()


def answer(block: nn.Module, *pixel: float) -> list[float]:
    """What the block makes of one pixel with these channels."""
    with torch.no_grad():
        return block(torch.tensor(pixel, dtype=torch.float)[None, :, None, None]).flatten().tolist()


def about(*values: float) -> object:
    return pytest.approx(values, rel=1e-3, abs=1e-6)


def test_basic_block() -> None:
    block = with_weights(resnet.Basic(1, 1, 1), 2.0, -3.0)
    assert answer(block, 1) == about(0)  # relu(−3·relu(2·1) + 1) = relu(−5)
    assert answer(block, -1) == about(0)  # relu(−3·relu(−2) − 1) = relu(−1)
    block = with_weights(resnet.Basic(1, 2, 2), 2.0, 3.0, 5.0)
    assert answer(block, 1) == about(11, 11)  # relu(3·relu(2·1) + 5·1)
    assert answer(block, -1) == about(0, 0)  # relu(0 − 5)


def test_bottleneck_block() -> None:
    block = with_weights(resnet.Bottleneck(4, 1, 1), 1.0, 2.0, 3.0)
    # conv1 sums the channels: 4, twice 8, each output three times that: 24, plus the input
    assert answer(block, 1, 2, 3, -2) == about(25, 26, 27, 22)
    # relu(−8) = 0 before the second convolution: only the input passes, behind the last ReLU
    assert answer(block, 1, -2, -3, -4) == about(1, 0, 0, 0)


def test_wide_block() -> None:
    block = with_weights(wrn.Block(1, 1, 1), 2.0, 3.0)
    assert answer(block, 1) == about(7)  # 1 + 3·relu(2·relu(1))
    assert answer(block, -1) == about(-1)  # the sum is not activated, and the shortcut is the input itself
    block = with_weights(wrn.Block(1, 2, 2), 2.0, 3.0, 5.0)
    assert answer(block, 1) == about(11, 11)  # 3·relu(2·1) + 5·relu(1)
    assert answer(block, -1) == about(0, 0)  # this shortcut reads the activation, relu(−1)


def test_inverted_residual() -> None:
    block = with_weights(mobilenet.Bottleneck(1, 1, 1, 1), 2.0, 3.0, -4.0)
    assert answer(block, 1) == about(-23)  # 1 − 4·relu(3·relu(2·1)): the end is linear
    assert answer(block, -1) == about(-1)
    block = with_weights(mobilenet.Bottleneck(1, 1, 2, 1), 2.0, 3.0, -4.0)
    assert answer(block, 1) == about(-24)  # no residual where the size changes


def test_shuffle_unit_v1() -> None:
    # stride 1 with w₃ = 0: the ReLU of the input, channels −24 to 23
    unit = with_weights(shufflenet_v1.Unit(48, 48, 1), 1.0, 1.0, 0.0)
    assert answer(unit, *range(-24, 24)) == about(*[0] * 24, *range(24))
    # stride 2 puts the new channels before the pooled input: of one pixel among 3×3, padding counted, a ninth
    unit = with_weights(shufflenet_v1.Unit(24, 48, 2), 1.0, 1.0, 0.0)
    assert answer(unit, *[9.0] * 24) == about(*[0] * 24, *[1] * 24)


def test_shuffle_unit_v1_mixes_its_groups() -> None:
    """Before the depthwise convolution, output i of group g goes to place 3·i + g."""
    unit = with_weights(shufflenet_v1.Unit(36, 36, 1), 1.0, 1.0, 1.0)
    seen: list[torch.Tensor] = []
    unit.conv2.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].flatten()))
    answer(unit, *[1.0] * 12, *[2.0] * 12, *[3.0] * 12)
    # each of the 3 outputs of a group sums the group's 12 inputs: 12 of group 0, 24 of group 1, 36 of group 2
    assert seen[0].tolist() == about(12, 24, 36, 12, 24, 36, 12, 24, 36)


def test_shuffle_unit_v2() -> None:
    unit = with_weights(shufflenet_v2.Unit(4), 2.0, 3.0, 4.0)
    # kept 5, 6; changed 24·1 and relu(−24·1); shuffled: kept, changed, kept, changed
    assert answer(unit, 5, 6, 1, -1) == about(5, 24, 6, 0)


def test_shuffle_down_v2() -> None:
    down = with_weights(shufflenet_v2.Down(1, 4), 2.0, 3.0, 5.0, 6.0, 7.0)
    assert answer(down, 1) == about(6, 210, 6, 210)  # 3·2 and 7·6·5 on two channels each, shuffled
    assert answer(down, -1) == about(0, 0, 0, 0)
