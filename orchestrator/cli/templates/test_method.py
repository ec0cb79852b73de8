"""mine obeys the laws of methods, and its loss is the one worked out by hand."""

from __future__ import annotations

import pytest
import torch
from mine import METHODS, Mine

from kd_core.knowledge import Batch, Knowledge, NetworkShape
from kd_core.laws.check import broken
from kd_core.methods.setting import Setting


@pytest.mark.parametrize("name", METHODS)
def test_laws(name):
    assert broken("METHODS", name, METHODS[name]) == []


def test_by_hand():
    labels_B = torch.tensor([0])
    shape = NetworkShape(stages=((2, 1, 1),), embedding=2, classes=2)
    method = Mine(Mine.Config(beta=2.0), Setting(shape, (shape,), labels_B))
    torch.nn.init.eye_(next(method.own.parameters()))  # r(h) = h
    student = Knowledge(logits_BK=torch.zeros(1, 2), embedding_BD=torch.tensor([[3.0, 4.0]]))  # normalised: 0.6, 0.8
    teacher = Knowledge(embedding_BD=torch.tensor([[0.0, 5.0]]))  # 0, 1
    batch = Batch(torch.zeros(1, 1, 1, 1), labels_B, labels_B, labels_B, epoch=0)
    terms = method.forward(student, (teacher,), batch, progress=0.0).terms
    assert terms["ce"].item() == pytest.approx(0.6931, abs=1e-4)  # ln 2: both classes are as likely
    assert terms["hint"].item() == pytest.approx(2 * (0.6**2 + 0.2**2))
