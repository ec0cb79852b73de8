"""Our SGD is torch's SGD, to the bit, and costs no import of the compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from kd_core.recipe import Recipe
from kd_core.training.optim import SGD, Average, optimizer_of


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
        sgd.step({"loss": loss(ours)}, step / 2)
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


TORCHS = {
    "sgd": lambda groups, decay: torch.optim.SGD(groups, lr=0.1, momentum=0.9, fused=True),
    "adam": lambda groups, decay: torch.optim.Adam(groups, lr=0.1, betas=(0.8, 0.9), eps=1e-6),
    "adamw": lambda groups, decay: torch.optim.AdamW(groups, lr=0.1, betas=(0.8, 0.9), eps=1e-6),
}


@pytest.mark.parametrize("decay_all", [True, False])
@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("name", TORCHS)
def test_every_optimizer_steps_as_torchs_does(name, clip, decay_all):
    recipe = Recipe(
        epochs=4,
        lr=0.1,
        optimizer=name,
        weight_decay=0.1,
        betas=(0.8, 0.9),
        epsilon=1e-6,
        schedule="cosine",
        clip=clip,
        decay_all=decay_all,
    )
    torch.manual_seed(0)
    start = [torch.randn(3, 4), torch.randn(5), torch.randn(2)]
    ours, theirs = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    x = torch.randn(4)

    def loss(parameters):  # the last one is not used: it has no gradient, and stays
        return (parameters[0] @ x).square().sum() + parameters[1].sin().sum()

    groups = [
        {"params": theirs[:1], "weight_decay": 0.1},
        {"params": theirs[1:], "weight_decay": 0.1 if decay_all else 0.0},
    ]
    optimizer, torchs = optimizer_of(ours, recipe), TORCHS[name](groups, decay_all)
    for step in range(5):
        if step == 3:  # as after a kill
            kept, optimizer = optimizer.state(), optimizer_of(ours, recipe)
            optimizer.restore(kept)
        optimizer.step({"loss": loss(ours)}, step / 2)
        for group in torchs.param_groups:
            group["lr"] = recipe.lr_at(step / 2)
        torchs.zero_grad()
        loss(theirs).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(theirs, clip)
        torchs.step()
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert torch.equal(ours[2], start[2])


def test_muon_moves_matrices_and_adamw_the_rest():
    recipe = Recipe(epochs=4, lr=0.1, optimizer="muon", momentum=0.9, weight_decay=0.0, schedule="constant")
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(5)), nn.Parameter(torch.randn(2, 2, 3, 3))]
    theirs = [nn.Parameter(each.detach().clone()) for each in parameters]
    torchs = [
        torch.optim.Muon(theirs[:1], lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=False, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(theirs[1:], lr=0.1, weight_decay=0.0),
    ]
    optimizer = optimizer_of(parameters, recipe)
    for step in range(4):
        if step == 2:
            kept, optimizer = optimizer.state(), optimizer_of(parameters, recipe)
            optimizer.restore(kept)
        optimizer.step({"loss": sum(each.sin().sum() for each in parameters)}, step)
        for each in torchs:
            each.zero_grad()
        sum(each.sin().sum() for each in theirs).backward()
        for each in torchs:
            each.step()
        assert all(torch.equal(one, other) for one, other in zip(parameters, theirs, strict=True))


def test_dot_by_hand():
    """One number that both losses move, one that the labels' alone moves, one (an adapter's) that distillation alone moves.

    lr 1, μ = ½, Δ = ¼, weight decay 0.1; gradients of the labels 1 everywhere, of distillation 2. Both: the task's buffer is
    1.1 w₀ … with momentum ¼, distillation's 2 with momentum ¾; the others have ½, and both their decay.
    """
    recipe = Recipe(epochs=9, lr=1.0, momentum=0.5, delta=0.25, weight_decay=0.1, optimizer="dot", schedule="constant")
    both, task, other = parameters = [nn.Parameter(torch.tensor([1.0])) for _ in range(3)]
    optimizer = optimizer_of(parameters, recipe)

    def terms():
        return {"ce": (both + task).sum(), "kl": 2 * (both + other).sum()}

    optimizer.step(terms(), 0)
    first = 1 - (1 + 0.1) - 2
    assert both.item() == pytest.approx(first)
    assert task.item() == pytest.approx(1 - 1.1)
    assert other.item() == pytest.approx(1 - 2.1)
    kept, optimizer = optimizer.state(), optimizer_of(parameters, recipe)  # as after a kill
    optimizer.restore(kept)
    second = [each.item() for each in parameters]
    optimizer.step(terms(), 0)
    of_task = 0.25 * 1.1 + (1 + 0.1 * second[0])
    assert both.item() == pytest.approx(second[0] - of_task - (0.75 * 2 + 2))
    assert task.item() == pytest.approx(second[1] - (0.5 * 1.1 + 1 + 0.1 * second[1]))
    assert other.item() == pytest.approx(second[2] - (0.5 * 2.1 + 2 + 0.1 * second[2]))


def test_dot_without_distance_is_sgd_up_to_the_order_of_sums():
    torch.manual_seed(0)
    start = [torch.randn(3, 4), torch.randn(5)]
    ours, theirs = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    knobs = {"epochs": 9, "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "schedule": "constant"}
    dot = optimizer_of(ours, Recipe(optimizer="dot", delta=0.0, **knobs))
    sgd = optimizer_of(theirs, Recipe(**knobs))
    for _ in range(6):
        for optimizer, parameters in ((dot, ours), (sgd, theirs)):
            first, second = parameters
            optimizer.step({"ce": first.sin().sum() + second.square().sum(), "kl": (first.sum() * second).sum()}, 0)
    torch.testing.assert_close(list(ours), list(theirs))


def test_an_average_by_hand():
    # decays (1 + n) / (10 + n), at most 0.3: 2/11, 3/12, 0.3 of 0 → 1 → 2 → 3 (the first value is where it begins)
    average = Average(0.3)
    for value in (1.0, 2.0, 3.0):
        average.add({"w": torch.tensor([value]), "count": torch.tensor(int(value))})
    second = 2 - 3 / 12  # 1 · ¼ + 2 · ¾
    assert average.tensors["w"].item() == pytest.approx(0.3 * second + 0.7 * 3)
    assert average.tensors["count"].item() == 3
    again = Average(0.3)
    again.restore(average.state(), torch.device("cpu"))
    for each in (average, again):
        each.add({"w": torch.tensor([5.0]), "count": torch.tensor(4)})
    assert torch.equal(again.tensors["w"], average.tensors["w"])


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
