"""Our SGD is torch's SGD, to the bit, and costs no import of the compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from kd_core.recipe import Recipe
from kd_core.training.optim import SGD


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("weight_decay", [0.0, 5e-4])
def test_it_steps_as_torch_s_sgd_does(momentum, nesterov, weight_decay):
    recipe = Recipe(epochs=4, lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, schedule="cosine")
    torch.manual_seed(0)
    start = [torch.randn(3, 4), torch.randn(5), torch.randn(2)]
    ours, theirs = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    x = torch.randn(4)

    def loss(parameters):  # the last one is not used: it has no gradient, and stays
        return (parameters[0] @ x).square().sum() + parameters[1].sin().sum()

    sgd = SGD(ours, recipe)
    optimizer = torch.optim.SGD(theirs, lr=0.1, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True)
    for step in range(5):
        sgd.step(loss(ours), step / 2)
        optimizer.param_groups[0]["lr"] = recipe.lr_at(step / 2)
        optimizer.zero_grad()
        loss(theirs).backward()
        optimizer.step()
        assert sgd.lr == recipe.lr_at(step / 2)
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    kept = {"momentum.0", "momentum.1"} if momentum else set()
    assert sgd.state().keys() == kept
    again = SGD(ours, recipe)
    again.restore(sgd.state())
    assert all(torch.equal(again.state()[name], value) for name, value in sgd.state().items())
    assert torch.equal(ours[2], start[2])


def test_training_imports_no_compiler():
    code = """
import sys
from tests.support import small
from kd_core.training.loop import Training
from kd_core.recipe import Recipe
network = small.network()
Training(network, small.plain(network), (), small.splits(), Recipe(epochs=1), seed=0).run()
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
