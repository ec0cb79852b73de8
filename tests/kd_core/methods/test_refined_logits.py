"""Methods that change what of the teachers' logits is taught: TTM, WTTM, CTKD, RLD, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from kd_core.knowledge import Knowledge, NetworkShape
from kd_core.laws.toys import batch_of
from kd_core.methods.ttm import power_sum_B
from tests.support.hand import LN2, LN3, D, logits, of

close = torch.testing.assert_close
THREE = NetworkShape(stages=((2, 1, 2),), embedding=2, classes=3)


def test_ttm_softens_the_teacher_alone():
    # γ = ½: the teacher's (9/10, 1/10) becomes (3/4, 1/4), the student says (1/2, 1/2) at T = 1: D, without T².
    student, teachers = logits((0.0, 0.0)), (logits((2 * LN3, 0.0)), logits((0.0, 0.0)))
    terms = of("ttm", beta=10.0, exponent=0.5).forward(student, teachers, batch_of(1), 0.0).terms
    close(terms, {"ce": torch.tensor(LN2), "kl": torch.tensor(10 * D / 2)})


def test_wttm_weighs_by_the_teachers_uncertainty():
    # U = (9/10)^½ + (1/10)^½ = 4/√10, and √2 of the even teacher, whose divergence is 0
    student, teachers = logits((0.0, 0.0)), (logits((2 * LN3, 0.0)), logits((0.0, 0.0)))
    terms = of("wttm", beta=10.0, exponent=0.5).forward(student, teachers, batch_of(1), 0.0).terms
    close(terms["kl"], torch.tensor(10 * 4 / math.sqrt(10) * D / 2))
    close(power_sum_B(torch.tensor([[0.0, 0.0], [99.0, 0.0]]), 0.5), torch.tensor([math.sqrt(2), 1.0]))


def test_ttm_is_the_power_of_the_probabilities():
    torch.manual_seed(0)
    student, teacher = torch.randn(6, 5), 3 * torch.randn(6, 5)
    power = torch.softmax(teacher, 1) ** 0.3
    sums = power.sum(1)
    divergence_B = F.kl_div(F.log_softmax(student, 1), power / sums[:, None], reduction="none").sum(1)
    shape = NetworkShape(stages=((2, 1, 2),), embedding=2, classes=5)
    for name, expected in (("ttm", divergence_B.mean()), ("wttm", (sums * divergence_B).mean())):
        method = of(name, teachers=1, shape=shape, beta=1.0, exponent=0.3)
        close(method.forward(logits(*student.tolist()), (logits(*teacher.tolist()),), batch_of(6), 0.0).terms["kl"], expected)


@pytest.mark.parametrize(("epoch", "strength"), [(0, 0.5 * (1 - math.cos(math.pi / 10))), (4, 0.5), (9, 1.0), (99, 1.0)])
def test_ctkds_temperature_climbs_what_the_student_descends(epoch, strength):
    # θ = 1: T = 1 + 20 σ(1)
    method = of("ctkd", teachers=1, alpha=2.0)
    temperature = 1 + 20 / (1 + math.exp(-1))
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[9.0, 0.0]])
    loss = method.forward(Knowledge(student), (Knowledge(teacher),), batch_of(1, epoch=epoch), 0.0)
    close(loss.curves["temperature"], torch.tensor(temperature))
    close(loss.terms["ce"], torch.tensor(0.1 * LN2))

    theta = torch.ones(1, requires_grad=True)
    heat = 1 + 20 * torch.sigmoid(theta)
    said = torch.softmax(teacher / heat, 1)
    plain = 2 * (heat**2 * (said * (said.log() - F.log_softmax(student / heat, 1))).sum(1)).mean()
    close(loss.terms["kl"], plain.detach())
    loss.terms["kl"].backward()
    plain.backward()
    close(method.own.get_parameter("theta").grad, -strength * theta.grad)


def test_rld_by_hand():
    # Label 1, T = T' = 1. Teacher (ln 3, 0): it holds class 0 most likely, with 3/4, and nothing below the label: only the
    # confidence counts, of the student in the label, 1/2: D.
    student, teacher = logits((0.0, 0.0), (0.0, 0.0)), logits((0.0, 0.0), (LN3, 0.0))
    batch = batch_of(2)  # labels 0 and 1; the first teacher is even, and its class 0 is the label
    method = of("rld", teachers=1, temperature=1.0, alpha=4.0, beta=5.0, warmup=0)
    close(method.forward(student, (teacher,), batch, 0.0).terms["confidence"], torch.tensor(4 * D / 2))
    close(method.forward(student, (teacher,), batch, 0.0).terms["other"], torch.tensor(0.0))


def test_rld_teaches_how_the_classes_below_the_label_relate():
    # Label 0. The teacher holds class 2 above it: left are classes below the label, 1 and 3, as (3/4, 1/4) against (1/2, 1/2).
    four = NetworkShape(stages=((2, 1, 2),), embedding=2, classes=4)
    teacher, student = logits((5.0, LN3, 6.0, 0.0)), logits((1.0, 2.0, 9.0, 2.0))
    method = of("rld", teachers=2, shape=four, temperature=1.0, beta=5.0)
    for epoch, share in ((0, 1 / 20), (9, 0.5), (40, 1.0)):
        terms = method.forward(student, (teacher, teacher), batch_of(1, epoch=epoch), 0.0).terms
        close(terms["other"], torch.tensor(share * 5 * D))


def test_rld_over_standardised_logits_has_the_published_weights():
    inner = of("logit_std", base="rld").config.inner
    assert (inner.temperature, inner.alpha, inner.beta) == (2.0, 9.0, 72.0)
