"""mine obeys the laws of models, and is as large as counted by hand."""

from __future__ import annotations

import pytest
import torch
from mine import MODELS, Mine

from kd_core.laws.check import broken


@pytest.mark.parametrize("name", MODELS)
def test_laws(name):
    assert broken("MODELS", name, MODELS[name]) == []


def test_by_hand():
    network = Mine(channels=1, classes=3, width=2)
    # convolutions 1·2·9 + 2·4·9, normalisations 2·2 + 2·4, head 4·3 + 3
    assert sum(parameter.numel() for parameter in network.parameters()) == 18 + 72 + 4 + 8 + 15
    assert network(torch.zeros(5, 1, 8, 8)).shape == (5, 3)
