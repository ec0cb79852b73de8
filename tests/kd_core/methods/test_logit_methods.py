"""Methods that hear logits alone, by hand. D and the distributions (3/4, 1/4), (1/2, 1/2) are those of hand.py."""

import itertools
import math

import pytest
import torch

from kd_core.knowledge import Knowledge
from kd_core.laws.toys import batch_of
from kd_core.methods.aekd import least_norm_weights_M, patterns
from kd_core.methods.dist import dissimilarity
from kd_core.methods.dkd import other_divergence, target_divergence
from kd_core.methods.logit_std import standardised_BK
from tests.support.hand import LN2, LN3, D, logits, of

SURE, UNSURE = (LN3, 0.0), (0.0, 0.0)  # (3/4, 1/4) and (1/2, 1/2) at T = 1


def test_ebkd_hears_the_sure_teacher_more():
    # entropies of sample 0: teacher 0 H = ln 4 − 3/4 · ln 3, teacher 1 ln 2; of sample 1 the other way round.
    # With M = 2, w_t = the other's share: w_0 = ln 2 / (H + ln 2) on sample 0, and d_0 = D there, 0 on sample 1, where
    # w_1 is the same and d_1 = D. The mean of Σ w·d is w·D. The public code's scale halves it.
    entropy = 2 * LN2 - 0.75 * LN3
    weight = LN2 / (entropy + LN2)
    teachers = (logits(SURE, UNSURE), logits(UNSURE, SURE))
    for reference, scale in ((False, 1.0), (True, 0.5)):
        method = of("ebkd", temperature=1.0, alpha=10.0, reference_scale=reference)
        loss = method.forward(logits(UNSURE, UNSURE), teachers, batch_of(2), 0.0)
        torch.testing.assert_close(loss.terms, {"ce": torch.tensor(LN2), "kl": torch.tensor(scale * 10 * weight * D)})
        torch.testing.assert_close(loss.curves["weight/teacher0"], torch.tensor(0.5))


def test_ebkd_of_sure_teachers():
    # Logits (20, 0): H ≈ 21 e⁻²⁰, (22, 0): 23 e⁻²²; so the second hears 21 e² / (21 e² + 23). Both certain: the same.
    weight = 21 * math.exp(2) / (21 * math.exp(2) + 23)
    teachers = (logits((20.0, 0.0)), logits((22.0, 0.0)))
    curves = of("ebkd").forward(logits(UNSURE), teachers, batch_of(1), 0.0).curves
    torch.testing.assert_close(curves["weight/teacher1"], torch.tensor(weight), rtol=1e-3, atol=0)
    certain = (logits((900.0, 0.0)), logits((1e4, 0.0)))
    curves = of("ebkd").forward(logits(UNSURE), certain, batch_of(1), 0.0).curves
    assert curves["weight/teacher1"].item() == 0.5


def test_ebkd_of_one_teacher_is_kd():
    loss = of("ebkd", teachers=1, temperature=1.0).forward(logits(UNSURE, UNSURE), (logits(SURE, UNSURE),), batch_of(2), 0.0)
    torch.testing.assert_close(loss.terms["kl"], torch.tensor(D / 2))


def test_aekd_leans_to_the_teacher_that_asks_for_less():
    # T = 1, student (1/2, 1/2). Teacher 0 (3/4, 1/4) on both samples: g_0 = (−1/4, 1/4). Teacher 1 (1/4, 3/4) on sample 0 and
    # as the student on sample 1: g_1 = (1/8, −1/8) = −g_0 / 2. The least norm, 0, is at a = (1/3, 2/3).
    # Σ a · KL: teacher 0 D, teacher 1 D / 2: 2/3 · D.
    teachers = (logits(SURE, SURE), logits((0.0, LN3), UNSURE))
    loss = of("aekd", temperature=1.0, ceiling=1.0).forward(logits(UNSURE, UNSURE), teachers, batch_of(2), 0.0)
    torch.testing.assert_close(loss.terms["kl"], torch.tensor(2 / 3 * D))
    torch.testing.assert_close(loss.curves["weight/teacher1"], torch.tensor(2 / 3))
    # C = 0.6 holds teacher 1 back: a = (0.4, 0.6), Σ a · KL = 0.7 · D
    loss = of("aekd", temperature=1.0, ceiling=0.6).forward(logits(UNSURE, UNSURE), teachers, batch_of(2), 0.0)
    torch.testing.assert_close(loss.terms["kl"], torch.tensor(0.7 * D))


def test_aekd_gradients_are_those_of_autograd():
    heat, seen = 4.0, []
    method = of("aekd", temperature=heat)
    generator = torch.Generator().manual_seed(0)
    student, *teachers = (Knowledge(torch.randn(5, 3, generator=generator).requires_grad_()) for _ in range(3))
    loss = method.forward(student, tuple(teachers), batch_of(5), 0.0)
    for teacher in teachers:
        divergence = torch.nn.functional.kl_div(
            (student.logits_BK / heat).log_softmax(1), (teacher.logits_BK / heat).softmax(1), reduction="sum"
        )
        seen.append(torch.autograd.grad(heat**2 * divergence, student.logits_BK)[0].mean(0).detach())
    weights_M = torch.stack([loss.curves["weight/teacher0"], loss.curves["weight/teacher1"]])
    torch.testing.assert_close(weights_M, least_norm_weights_M(torch.stack(seen), *patterns(2, 0.6), 0.6))


@pytest.mark.parametrize(("teachers", "ceiling"), [(1, 1.0), (2, 0.6), (3, 0.6), (3, 1 / 3), (4, 0.3), (4, 1.0)])
def test_aekd_weights_are_no_worse_than_any_on_a_grid(teachers, ceiling):
    gradients_MK = torch.randn(teachers, 3, generator=torch.Generator().manual_seed(teachers)) + 0.3
    weights_M = least_norm_weights_M(gradients_MK, *patterns(teachers, ceiling), ceiling)
    assert weights_M.sum().item() == pytest.approx(1)
    assert weights_M.min() >= 0
    assert weights_M.max() <= ceiling + 1e-6
    steps = 12
    grid = [point for point in itertools.product(range(steps + 1), repeat=teachers) if sum(point) == steps]
    allowed = torch.tensor([point for point in grid if max(point) <= ceiling * steps + 1e-9]) / steps
    norms = (allowed @ gradients_MK).norm(dim=1)
    assert (weights_M @ gradients_MK).norm() <= norms.min() + 1e-5


def test_aekd_equal_gradients_share_equally():
    weights_M = least_norm_weights_M(torch.tensor([[1.0, 2.0]] * 3), *patterns(3, 0.6), 0.6)
    torch.testing.assert_close(weights_M, torch.full((3,), 1 / 3))
    weights_M = least_norm_weights_M(torch.zeros(3, 2), *patterns(3, 0.6), 0.6)
    torch.testing.assert_close(weights_M, torch.full((3,), 1 / 3))


def test_dkd_by_hand():
    # T = 1, label 0. Teacher (1/2, 3/8, 1/8) = logits ln (4, 3, 1), student (1/4, 3/8, 3/8) = ln (2, 3, 3).
    # b: (1/2, 1/2) against (1/4, 3/4): KL = ½ ln 2 + ½ ln(2/3) = ln 2 − ½ ln 3.
    # Others: (3/4, 1/4) against (1/2, 1/2): KL = D.
    target_BK, student_BK = torch.tensor([[4.0, 3.0, 1.0]]).log(), torch.tensor([[2.0, 3.0, 3.0]]).log()
    labels_B = torch.tensor([0])
    torch.testing.assert_close(target_divergence(target_BK, student_BK, labels_B, 1.0), torch.tensor(LN2 - LN3 / 2))
    torch.testing.assert_close(other_divergence(target_BK, student_BK, labels_B, 1.0), torch.tensor(D))
    # twice the logits at T = 2 are the same distributions; both are multiplied by T² = 4
    torch.testing.assert_close(target_divergence(2 * target_BK, 2 * student_BK, labels_B, 2.0), torch.tensor(4 * LN2 - 2 * LN3))
    torch.testing.assert_close(other_divergence(2 * target_BK, 2 * student_BK, labels_B, 2.0), torch.tensor(4 * D))


def test_dkd_is_kd_by_parts():
    # the paper's decomposition: KD = TCKD + (1 − p_t(label)) · NCKD, of one sample
    generator = torch.Generator().manual_seed(0)
    target_BK, student_BK = torch.randn(2, 1, 5, generator=generator)
    labels_B, heat = torch.tensor([3]), 4.0
    others = 1 - (target_BK / heat).softmax(1)[0, 3]
    whole = heat**2 * torch.nn.functional.kl_div(
        (student_BK / heat).log_softmax(1), (target_BK / heat).softmax(1), reduction="sum"
    )
    parts = target_divergence(target_BK, student_BK, labels_B, heat) + others * other_divergence(
        target_BK, student_BK, labels_B, heat
    )
    torch.testing.assert_close(parts, whole)


def test_dkd_warms_up():
    student, teachers = logits(UNSURE, UNSURE), (logits(SURE, UNSURE),) * 2
    full = of("dkd", warmup=0).forward(student, teachers, batch_of(2, epoch=0), 0.0).terms["target"]
    for epoch, share in ((0, 0.05), (9, 0.5), (19, 1.0), (30, 1.0)):
        found = of("dkd").forward(student, teachers, batch_of(2, epoch=epoch), 0.0).terms["target"]
        torch.testing.assert_close(found, share * full)


def test_dist_by_hand():
    # T = 1, three classes. Student rows (1/2, 1/3, 1/6) and its reverse, teacher both rows (1/2, 1/3, 1/6).
    # Over classes: ρ = 1 and −1, 1 − ρ = 0 and 2, mean 1. Over samples the teacher does not vary: ρ = 0, 1 − ρ = 1.
    rising = (math.log(3), math.log(2), 0.0)
    student, teacher = logits(rising, rising[::-1]), logits(rising, rising)
    terms = of("dist", temperature=1.0, beta=2.0, gamma=3.0).forward(student, (teacher, teacher), batch_of(2), 0.0).terms
    torch.testing.assert_close(terms["inter"], torch.tensor(2.0))
    torch.testing.assert_close(terms["intra"], torch.tensor(3.0))
    # T² multiplies both: at T = 2, twice the logits
    student, teacher = (Knowledge(2 * each.logits_BK) for each in (student, teacher))
    terms = of("dist", temperature=2.0, beta=2.0, gamma=3.0).forward(student, (teacher, teacher), batch_of(2), 0.0).terms
    torch.testing.assert_close(terms["inter"], torch.tensor(8.0))


def test_dist_adds_its_epsilon_to_the_product_of_the_norms():
    # Rows (a, −a) and (b, −b) about their mean: product 2ab, norms √2·a and √2·b: ρ = 2ab / (2ab + 1e-8).
    a, b = 1e-3, 1e-5
    one, other = torch.tensor([[a, -a]], dtype=torch.float64), torch.tensor([[b, -b]], dtype=torch.float64)
    close = torch.testing.assert_close
    close(dissimilarity(one, other, 1), torch.tensor(1 - 2 * a * b / (2 * a * b + 1e-8), dtype=torch.float64))


def test_dist_is_blind_to_scale_and_shift():
    one = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(dissimilarity(one, 3 * one + 2, 1), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_standardised_logits():
    # (1, 3): mean 2, unbiased variance 2: (−1, 1) / √2. What does not vary: 0.
    found = standardised_BK(torch.tensor([[1.0, 3.0], [5.0, 5.0]]))
    torch.testing.assert_close(found, torch.tensor([[-1.0, 1.0], [0.0, 0.0]]) / math.sqrt(2))


def test_logit_std_by_hand():
    # Of two classes every z-score is ±1/√2: student (1, 0) and teacher 0 (7, −7) agree, teacher 1 (0, 1) is opposite.
    # At T = 1/√2 the soft labels are (a, 1 − a), a = σ(2) of the logits ±1: KL = 2 · (2a − 1), times T² = ½; the mean with 0.
    # The cross-entropy is of the raw logits, label 0: ln(1 + 1/e).
    a = 1 / (1 + math.exp(-2))
    method = of("logit_std", base="kd", knobs={"temperature": 1 / math.sqrt(2), "alpha": 1.0, "ce": 2})
    terms = method.forward(logits((1.0, 0.0)), (logits((7.0, -7.0)), logits((0.0, 1.0))), batch_of(1), 0.0).terms
    torch.testing.assert_close(terms, {"ce": torch.tensor(2 * math.log(1 + math.exp(-1))), "kl": torch.tensor((2 * a - 1) / 2)})
