"""How fast a network is trained, as far as that can be tested anywhere."""

from __future__ import annotations

import pytest
import torch

from kd_core.data.table import DATASETS
from kd_core.models import speed
from kd_core.models.speed import seconds_per_image


def test_the_fastest_step_counts_for_each_image_of_a_batch(monkeypatch):
    ticks = iter([0.0, 4.0, 10.0, 11.0, 20.0, 22.0])  # steps of 4, 1 and 2 seconds
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(speed, "LEAST_S", 6)
    threads = torch.get_num_threads()
    assert seconds_per_image("resnet8", DATASETS["digits"]) == pytest.approx(1.0 / 64)
    assert torch.get_num_threads() == threads


def test_a_large_network_takes_longer():
    info = DATASETS["cifar10"]
    assert seconds_per_image("resnet56", info) > 2 * seconds_per_image("resnet8", info)  # 125 M multiplications to 12 M
