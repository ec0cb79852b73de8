"""Pieces that the families share."""

from __future__ import annotations

from torch import nn


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias, padded so that stride 1 keeps the size and stride 2 halves it (rounding up)."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """:func:`conv` and batch normalisation."""
    return nn.Sequential(conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs))


def conv_norm_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """:func:`conv`, batch normalisation and ReLU."""
    return conv_norm(inputs, outputs, kernel, stride, groups).append(nn.ReLU(inplace=True))


def initialise_convolutions(module: nn.Module) -> None:
    """Draw every convolution's weights from N(0, 2 / (k²·outputs)), biases 0 (He et al. 2015, arXiv 1502.01852, eq. 14).

    Batch normalisation starts at scale 1 and shift 0, as torch makes it.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialise_head(head: nn.Linear) -> None:
    """Weights from N(0, 0.01²), biases 0."""
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
