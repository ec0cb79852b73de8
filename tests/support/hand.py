"""A setting as small as a value worked by hand wants it: two classes, any number of teachers, embeddings of two numbers."""

from __future__ import annotations

import math
from typing import Any

import torch

from kd_core.knowledge import Knowledge, NetworkShape
from kd_core.methods.method import Method
from kd_core.methods.setting import Setting
from kd_core.methods.table import METHODS

LN2, LN3 = math.log(2), math.log(3)
D = 0.75 * LN3 - LN2  # KL((3/4, 1/4) ‖ (1/2, 1/2)) = 3/4 · ln(3/2) + 1/4 · ln(1/2)
PAIR = NetworkShape(stages=((2, 1, 2),), embedding=2, classes=2)  # two channels at two positions


def logits(*rows: tuple[float, ...]) -> Knowledge:
    return Knowledge(logits_BK=torch.tensor(rows))


def embedded(*rows: tuple[float, ...], classes: int = 2) -> Knowledge:
    """That embedding, and logits of 0."""
    return Knowledge(logits_BK=torch.zeros(len(rows), classes), embedding_BD=torch.tensor(rows))


def mapped(*samples: Any) -> Knowledge:
    """One stage of these feature maps, each channels × height × width, and logits of 0."""
    features_BCHW = torch.tensor(samples, dtype=torch.float)
    return Knowledge(torch.zeros(len(samples), 2), (features_BCHW,), features_BCHW.mean((2, 3)))


def of(
    name: str, teachers: int = 2, shape: NetworkShape = PAIR, samples: int = 2, heads: tuple[Any, ...] = (), **knobs: Any
) -> Method:
    method = METHODS[name]
    labels_N = torch.arange(samples) % shape.classes
    return method(method.Config(**knobs), Setting(shape, (shape,) * teachers, labels_N, heads=heads))
