"""torchvision, in the one module that imports it.

A torchvision wheel built for CUDA does not load its C++ extension beside a CPU build of torch, and its import then fails on
the operators that the extension would have declared. Data sets, transforms and classifiers use none of them: declaring the two
missing schemas is enough. Where the extension loads, the first import succeeds and nothing is declared. Without it
`torchvision.ops` and `torchvision.io` do not work: boxes are none of our business, and images are decoded by PIL.
"""

from __future__ import annotations

import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # operator torchvision::nms does not exist
    _SCHEMAS = torch.library.Library("torchvision", "DEF")  # schemas live as long as this object
    for _name in ("nms", "qnms"):
        _SCHEMAS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchvision import datasets, models
from torchvision.transforms import v2 as transforms

__all__ = ["datasets", "models", "transforms"]
