"""Methods that compare how samples, channels or positions relate, by hand."""

import math

import torch

from kd_core.laws.toys import batch_of
from kd_core.methods.cc import CC
from tests.support.hand import embedded, mapped, of


def test_sp():
    # G of the student: orthogonal samples, the identity. Teacher 0: equal samples, rows (1, 1)/√2. Of each row
    # (1 − 1/√2)² + 1/2 = 2 − √2; two rows over B² = 4 give (2 − √2) / 2. Teacher 1 agrees. Mean (2 − √2) / 4.
    student = mapped([[[3, 0]], [[0, 0]]], [[[0, 4]], [[0, 0]]])
    equal = mapped([[[1, 2]], [[0, 0]]], [[[1, 2]], [[0, 0]]])
    terms = of("sp", beta=100.0).forward(student, (equal, student), batch_of(2), 0.0).terms
    torch.testing.assert_close(terms["similarity"], torch.tensor(25 * (2 - math.sqrt(2))))


def test_rkd():
    # The student's triangle has sides 3, 4, 5, mean 4: ψ = 0.75, 1, 1.25; the teacher's is equilateral: ψ = 1. Huber losses
    # 0.25²/2 twice, each pair twice: 0.125 over B² = 9. Cosines at the corners 0, 0.6, 0.8 against 0.5: Huber losses
    # (0.25 + 0.01 + 0.09) / 2, each triple twice: 0.35 over B³ = 27. Another teacher agrees with the student: means are halves.
    student = embedded((0.0, 0.0), (3.0, 0.0), (0.0, 4.0), classes=3)
    teacher = embedded((0.0, 0.0), (1.0, 0.0), (0.5, math.sqrt(3) / 2))
    terms = of("rkd", distance=18.0, angle=54.0).forward(student, (teacher, student), batch_of(3), 0.0).terms
    torch.testing.assert_close(terms["distance"], torch.tensor(0.125))
    torch.testing.assert_close(terms["angle"], torch.tensor(0.35))


def test_pkt():
    # Orthogonal embeddings: affinities (1, ½) / 1.5 = (2/3, 1/3). Teacher 0's are parallel: (1/2, 1/2). Every row gives
    # ½ ln(3/4) + ½ ln(3/2) = ½ ln(9/8), the mean over B² = 4 is ¼ ln(9/8). Teacher 1 agrees.
    student, parallel = embedded((1.0, 0.0), (0.0, 2.0)), embedded((1.0, 0.0), (3.0, 0.0))
    terms = of("pkt", beta=8.0).forward(student, (parallel, student), batch_of(2), 0.0).terms
    torch.testing.assert_close(terms["affinity"], torch.tensor(math.log(9 / 8)))


def test_cc_congruence():
    # γ = ½, P = 2: C = e⁻¹ (1 + x + x²/2) of cosines x: 2.5/e on the diagonal; elsewhere 1/e for the student's orthogonal
    # embeddings, 2.5/e for teacher 0's parallel ones. Two of four entries differ by 1.5/e: 1.125 / e². Teacher 1 agrees.
    student, parallel = embedded((1.0, 0.0), (0.0, 2.0)), embedded((1.0, 0.0), (3.0, 0.0))
    terms = of("cc", gamma=0.5, beta=2.0).forward(student, (parallel, student), batch_of(2), 0.0).terms
    torch.testing.assert_close(terms["correlation"], torch.tensor(1.125 / math.e**2))


def test_cc_reference():
    # With both maps the identity, δ_0 = (1, 2) and δ_1 = (3, ½): their product is 4, and there is one pair of neighbours.
    method = of("cc", teachers=1, form="reference", dimension=2, beta=0.5)
    for linear in method.own["teacher0"]:
        torch.nn.init.eye_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    student, teacher = embedded((1.0, 0.0), (3.0, 1.0)), embedded((0.0, 2.0), (0.0, 0.5))
    terms = method.forward(student, (teacher,), batch_of(2), 0.0).terms
    torch.testing.assert_close(terms["correlation"], torch.tensor(2.0))


def test_cc_weights_belong_to_the_form():
    assert [CC.Config().weight, CC.Config(form="reference").weight, CC.Config(beta=3.0).weight] == [100.0, 0.02, 3.0]


def test_nst():
    # The student's channels see one position each: mean k(s, s') = 2/4. Both of teacher 0's see the first: k(t, t') = 1,
    # k(s, t) = 2/4. ½ + 1 − 1 = ½. Teacher 1 agrees.
    student, teacher = mapped([[[5, 0]], [[0, 1]]]), mapped([[[2, 0]], [[3, 0]]])
    terms = of("nst", beta=8.0).forward(student, (teacher, student), batch_of(1), 0.0).terms
    torch.testing.assert_close(terms["selectivity"], torch.tensor(2.0))
