"""VkD: its projection stays orthonormal, and turns without stretching."""

from __future__ import annotations

import math

import pytest
import torch

from kd_core.laws.toys import batch_of
from kd_core.methods.modules.adapters import orthogonal
from tests.support.hand import LN2, D, embedded, of


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (5, 3), (4, 4)])
def test_the_projection_stays_orthonormal_whatever_is_learnt(inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    project = orthogonal(inputs, outputs)
    optimizer = torch.optim.SGD(project.parameters(), lr=1.0)
    for _ in range(5):
        optimizer.zero_grad()
        project(torch.randn(8, inputs)).sub(1).square().sum().backward()
        optimizer.step()
    weight = project.weight if outputs < inputs else project.weight.T
    torch.testing.assert_close(weight @ weight.T, torch.eye(min(inputs, outputs)), rtol=0, atol=1e-5)


def test_by_hand() -> None:
    """P is the identity. LN((3, 1)) is (1, −1) up to its epsilon; from (1, 1): 0 and 2, smooth L1 (0 + 1.5) / 2. The divergence
    is that of (¾, ¼) from (½, ½)."""
    method = of("vkd", 1, samples=1, alpha=10.0, gamma=2.0)
    method.own = torch.nn.ModuleDict({"teacher0": torch.nn.Identity()})
    student, teacher = embedded((1.0, 1.0)), embedded((3.0, 1.0))
    said = torch.tensor([[math.log(3), 0.0]])
    teacher = type(teacher)(said, embedding_BD=teacher.embedding_BD)
    terms = method.forward(student, (teacher,), batch_of(1), 0.0).terms
    assert terms["ce"].item() == pytest.approx(LN2)
    assert terms["embedding"].item() == pytest.approx(7.5, rel=1e-4)
    assert terms["kl"].item() == pytest.approx(2 * D, rel=1e-5)
