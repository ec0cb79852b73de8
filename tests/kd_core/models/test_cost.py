"""The costs in the table are those that torch counts."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from kd_core.models.cost import MILLIONS, TYPICAL, multiplications
from kd_core.models.table import MODELS, build


def counted(name: str, size: int) -> float:
    network = build(name, channels=3, classes=100).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.observe(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() / 2


def test_every_model_is_in_the_table():
    assert MILLIONS.keys() == MODELS.keys()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_table_is_what_torch_counts(name):
    size = max(32, MODELS[name].smallest)
    assert multiplications(name, size) == pytest.approx(counted(name, size), rel=0.01)


def test_cost_grows_with_the_area():
    assert multiplications("resnet20", 64) == pytest.approx(counted("resnet20", 64), rel=0.01)


def test_an_unknown_network_is_typical():
    assert multiplications("timm:made_up", 32) == TYPICAL * 1e6
