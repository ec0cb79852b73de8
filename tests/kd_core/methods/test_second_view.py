"""Methods that see each image twice: values worked by hand, and the public code's shape of them."""

import math

import pytest
import torch
from torch.nn import functional as F

from kd_core.knowledge import Knowledge
from kd_core.laws.toys import STUDENT, batch_of, setting_of, under_views
from kd_core.losses import kl_divergence
from kd_core.methods.crld import CRLD
from kd_core.methods.mgd import MGD
from kd_core.methods.mlld import MLLD, between_classes, between_images, share_up_to_median

LN3 = math.log(3)
# of two classes: σ(LN3, 0) = (¾, ¼), and σ(0, 0) = (½, ½)
SURE, UNSURE = [LN3, 0.0], [0.0, 0.0]


def views(weak, strong):
    return under_views(Knowledge(torch.tensor(weak)), Knowledge(torch.tensor(strong)))


def terms(method, student, teacher, epoch=0):
    return method.forward(student, (teacher,), batch_of(len(student.logits_BK), epoch), 0.0).terms


def test_matrices_between_images_and_classes():
    """Rows (¾, ¼) and (¼, ¾): P Pᵀ = [[10, 6], [6, 10]] / 16 and so is Pᵀ P. Rows of ½: all entries of both are ½ = 8/16."""
    sure_BK, unsure_BK = torch.tensor([[LN3, 0.0], [0.0, LN3]]), torch.zeros(2, 2)
    expected = torch.tensor((2**2 + 2**2 + 2**2 + 2**2) / 16**2 / 2)
    torch.testing.assert_close(between_images(sure_BK, unsure_BK, 1.0), expected)
    torch.testing.assert_close(between_classes(sure_BK, unsure_BK, 1.0), expected)


def test_half_of_the_values_are_up_to_the_median():
    assert share_up_to_median(torch.tensor([4.0, 1.0, 3.0, 2.0])) == 0.5
    assert share_up_to_median(torch.tensor([1.0, 2.0, 3.0])) == pytest.approx(2 / 3)
    assert share_up_to_median(torch.ones(4)) == 1.0


def test_mlld_by_hand():
    """One image at τ = 1, so m = 1. KL((¾, ¼) ‖ (½, ½)) = ¾ ln 3/2 + ¼ ln 1/2. P Pᵀ is ¾² + ¼² = 10/16 against ½; Pᵀ P has 9,
    3, 3 and 1 sixteenths against 4 each; one of two classes is expected no more than the lower of the two: m_K = ½."""
    method = MLLD(MLLD.Config(ce=1.0, alpha=2.0, temperatures=(1.0,), again=()), setting_of(STUDENT))
    found = terms(method, views([UNSURE], [UNSURE]), views([SURE], [UNSURE]))
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert found["ce"].item() == pytest.approx(2 * math.log(2))
    assert found["kl"].item() == pytest.approx(2 * divergence)  # of the second view nothing is left to learn
    assert found["batch"].item() == pytest.approx(2 * (2 / 16) ** 2, rel=1e-5)
    assert found["class"].item() == pytest.approx(2 * 0.5 * (5**2 + 1 + 1 + 3**2) / 16**2 / 2, rel=1e-5)


def test_mlld_takes_the_first_view_again_where_the_public_code_does():
    torch.manual_seed(0)
    weak, strong, said, said_strong = (torch.randn(4, 3) for _ in range(4))
    student = under_views(Knowledge(weak), Knowledge(strong))
    teacher = under_views(Knowledge(said), Knowledge(said_strong))
    found = terms(MLLD(MLLD.Config(), setting_of(STUDENT)), student, teacher)
    images = sum(0.5 * kl_divergence(said, weak, heat) for heat in (4, 3, 5, 2, 6))
    images += sum(kl_divergence(said_strong, strong, heat) for heat in (4, 3, 5))
    images += sum(kl_divergence(said, weak, heat) for heat in (2, 6))
    torch.testing.assert_close(found["kl"], 0.9 * images)
    labels_B = torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(found["ce"], 0.1 * (F.cross_entropy(weak, labels_B) + F.cross_entropy(strong, labels_B)))


def test_crld_by_hand():
    """T = 1. The teacher is sure (¾) of the weak view alone: within counts where ¾ ≥ τ_w, across where ½ ≥ τ_s. The student
    says (½, ½) of both: KL is K = ¾ ln 3/2 + ¼ ln 1/2 from what is said of the weak view and 0 from the strong one."""
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    student, teacher = views([UNSURE], [UNSURE]), views([SURE], [UNSURE])
    for within, across, expected in ((0.7, 0.5, (2, 0.5)), (0.8, 0.4, (0, 0.5)), (0.7, 0.6, (2, 0))):
        config = CRLD.Config(temperature=1.0, sure_within=within, sure_across=across)
        found = terms(CRLD(config, setting_of(STUDENT)), student, teacher)
        assert found["within"].item() == pytest.approx(expected[0] * divergence)
        assert found["across"].item() == pytest.approx(expected[1] * divergence)
        assert found["ce"].item() == pytest.approx(2 * math.log(2))


def test_across_views_a_student_learns_what_is_said_of_the_other():
    student, teacher = views([SURE], [UNSURE]), views([UNSURE], [SURE])
    method = CRLD(CRLD.Config(temperature=1.0, sure_within=0.0), setting_of(STUDENT))
    found = terms(method, student, teacher)
    assert found["across"].item() == 0  # each view says what the teacher says of the other
    assert found["within"].item() > 0


def test_the_second_view_is_the_datas_own_with_a_policy():
    for method in (MLLD, CRLD):
        assert method.further_views(method.Config()) == ({"policy": "randaugment", "erasing": 0.5, "draws": None},)
    wrapped = MGD.Config(base="crld", knobs={"policy": "trivialaugment", "erasing": 0})
    assert MGD.further_views(wrapped) == ({"policy": "trivialaugment", "erasing": 0.0, "draws": None},)
    assert not MGD.mixable(wrapped)


def test_temperatures_at_which_the_first_view_stands_for_the_second_are_among_them():
    with pytest.raises(ValueError, match=r"`again` must be among `temperatures` \[1.0\], but got 2"):
        MLLD.Config(temperatures=(1.0,))
