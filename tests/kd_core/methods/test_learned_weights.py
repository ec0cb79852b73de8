"""Methods that learn the weights of the teachers: MMKD and MTKD-RL, and what they learn with."""

import math

import pytest
import torch
from torch import nn

from kd_core.knowledge import Knowledge
from kd_core.laws.toys import batch_of
from kd_core.methods.modules.learner import Learner
from kd_core.methods.modules.meta import HardBuffer
from kd_core.methods.mtkd_rl import rewards_MB
from tests.kd_core.methods.test_hints import close, head, identity
from tests.support.hand import LN3, D, of


def said(logits: list[list[float]], embedding: list[list[float]]) -> Knowledge:
    return Knowledge(torch.tensor(logits), embedding_BD=torch.tensor(embedding))


def even(method) -> None:
    """The learned weights are equal: the last layer says 0."""
    for module in (method.of_logits, method.of_hints):
        for rate in module.rates.values():
            nn.init.zeros_(rate.weight)
            nn.init.zeros_(rate.bias)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_learner_is_adam(decay):
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    theirs = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    theirs.load_state_dict(ours.state_dict())
    learner, adam = Learner(ours, 0.01, decay), torch.optim.Adam(theirs.parameters(), lr=0.01, weight_decay=decay)
    x, y = torch.randn(5, 3), torch.randn(5, 2)
    for _ in range(7):
        learner.step((ours(x) - y).square().mean())
        adam.zero_grad()
        (theirs(x) - y).square().mean().backward()
        adam.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    assert all(parameter.grad is None for parameter in ours.parameters())


def test_hard_buffer_overwrites_the_oldest():
    buffer = HardBuffer(3, {"value": 1})
    assert buffer.present().tolist() == [0, 0, 0]
    buffer.put(torch.tensor([1, 2]), {"value": torch.tensor([[0.1], [0.2]])})
    assert buffer.present().tolist() == [1, 1, 0]
    buffer.put(torch.tensor([3, 4]), {"value": torch.tensor([[0.3], [0.4]])})
    assert buffer.present().tolist() == [1, 1, 1]
    labels, values = buffer.rows("labels", "value")
    assert labels.tolist() == [4, 2, 3]
    torch.testing.assert_close(values, torch.tensor([[0.4], [0.2], [0.3]]))


def test_mmkd_terms():
    # Equal weights. T = 1: KL (D, 0), ½ · D. Hints (1, 0) against (1, 2) is 2, against (0, 0) is ½: 1.25.
    method = of("mmkd", heads=(head((1.0, 0.0), (0.0, 1.0)),) * 2, temperature=1.0, beta=4.0)
    identity(method.adapters)
    even(method)
    student = said([[0.0, 0.0]], [[1.0, 0.0]])
    teachers = (said([[LN3, 0.0]], [[1.0, 2.0]]), said([[0.0, 0.0]], [[0.0, 0.0]]))
    terms = method.forward(student, teachers, batch_of(1), 0.0).terms
    close(terms["kl"], torch.tensor(D / 2))
    close(terms["hint"], torch.tensor(5.0))


def test_mmkd_trial_step():
    # Student (0, 0), label 0: pull of the label (−½, ½); of teacher 0, (3/4, 1/4), at T = 1 (−¼, ¼); of teacher 1 none.
    # ẑ = −(2 · (−½, ½) + 4 · ½ · (−¼, ¼)) = (1.5, −1.5).
    # Embedding (1, 1): gradients of the hints r − e_t = (0, −2) and (1, 0). ê = (1, 1) − 2 · ½ · (1, −2) = (0, 3).
    # The heads are the identity: meta loss = CE((1.5, −1.5), 0) + CE((0, 3), 0) = ln(1 + e⁻³) + ln(1 + e³).
    heads = (head((1.0, 0.0), (0.0, 1.0)),) * 2
    method = of("mmkd", heads=heads, temperature=1.0, ce=2.0, alpha=4.0, beta=2.0, trial=1.0, every=9)
    identity(method.adapters)
    even(method)
    student = said([[0.0, 0.0]], [[1.0, 1.0]])
    teachers = (said([[LN3, 0.0]], [[1.0, 3.0]]), said([[0.0, 0.0]], [[0.0, 1.0]]))
    method.forward(student, teachers, batch_of(1), 0.0)
    close(method._meta_loss(), torch.tensor(math.log(1 + math.exp(-3)) + math.log(1 + math.exp(3))))


def test_mmkd_remembers_the_hardest():
    # half of four samples: those whose own label is least likely, 1 and 3
    method = of("mmkd", heads=(head((1.0, 0.0), (0.0, 1.0)),) * 2, hard=0.5, every=9)
    student = Knowledge(torch.tensor([[9.0, 0.0], [9.0, 0.0], [0.0, 0.0], [9.0, 0.0]]), embedding_BD=torch.zeros(4, 2))
    batch = batch_of(4)
    batch = type(batch)(batch.images_BCHW, torch.tensor([0, 1, 0, 1]), batch.indices_B, batch.views_B, 0)
    method.forward(student, (student, student), batch, 0.0)
    labels, _ = method.hard.rows("labels", "logits")
    assert (method.hard.present().sum().item(), labels[:2].tolist()) == (2, [1, 1])


def learnt(method, steps: int) -> dict[str, float]:
    """The curves after some steps with a teacher 0 that knows the labels and a teacher 1 that says the opposite."""
    torch.manual_seed(0)
    labels_B = torch.arange(16) % 2
    right_BK = 4.0 * torch.nn.functional.one_hot(labels_B, 2)
    batch = batch_of(16, epoch=3)
    batch = type(batch)(batch.images_BCHW, labels_B, batch.indices_B, batch.views_B, batch.epoch)
    student = Knowledge(0.1 * right_BK, embedding_BD=torch.rand(16, 2))
    teachers = (Knowledge(right_BK, embedding_BD=right_BK), Knowledge(4 - right_BK, embedding_BD=4 - right_BK))
    for _ in range(steps):
        curves = method.forward(student, teachers, batch, 0.0).curves
    return {name: value.item() for name, value in curves.items()}


def test_mmkd_learns_whom_to_trust():
    torch.manual_seed(1)
    method = of("mmkd", heads=(head((1.0, 0.0), (0.0, 1.0)),) * 2, every=1, trial=1.0, beta=1.0, meta_lr=0.02)
    found = learnt(method, 100)
    assert found["weight/teacher0"] > 0.9
    assert found["hint_weight/teacher0"] > 0.9


def test_mtkd_rl_rewards():
    # losses of mean 2 and deviation 1: −loss standardised is (1, −1), (1, −1), clamped (1, 0), (1, 0)
    close(rewards_MB(torch.tensor([[1.0, 3.0], [1.0, 3.0]])), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))


@pytest.mark.parametrize("epoch", [0, 1])
def test_mtkd_rl_weights(epoch):
    # T = 1, label 0, an agent that says ½. CE weights of the teachers (0.6, 0.4), see test_ca_mkd; KL (D, 0), so that the gap
    # weight of teacher 0 is 1 − e^D / (e^D + 1). Its w is the mean of the three, and teacher 1 adds nothing to Σ w · KL.
    # In epoch 0 the weights are equal.
    method = of("mtkd_rl", temperature=1.0, beta=1.0)
    identity(method.adapters)
    nn.init.zeros_(method.policy.rate.weight)
    nn.init.zeros_(method.policy.rate.bias)
    teachers = (said([[LN3, 0.0]], [[1.0, 2.0]]), said([[0.0, 0.0]], [[0.0, 2.0]]))
    loss = method.forward(said([[0.0, 0.0]], [[1.0, 0.0]]), teachers, batch_of(1, epoch), 0.0)
    weight = (0.5 + 0.6 + 1 / (1 + math.exp(D))) / 3 if epoch else 0.5
    close(loss.terms["kl"], torch.tensor(weight * D))
    # cosines 1/√5 and 0: distances 1 − 1/√5 and 1. Hints 2 and 2.5.
    near = 1 / (1 + math.exp(1 - 1 / math.sqrt(5) - 1))
    weight = (0.5 + 0.6 + near) / 3 if epoch else 0.5
    close(loss.terms["hint"], torch.tensor(weight * 2 + (1 - weight) * 2.5))


def test_mtkd_rl_agent_learns_whom_to_hear():
    # teacher 0 is nearer to the student on every sample: it earns the rewards
    torch.manual_seed(1)
    method = of("mtkd_rl", agent_lr=0.02, beta=0.0)
    before = learnt(method, 1)["weight/teacher0"]
    after = learnt(method, 100)["weight/teacher0"]
    assert after > before + 0.1
