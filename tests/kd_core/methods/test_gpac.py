import math

import pytest
import torch

from kd_core.knowledge import Knowledge, Need, NetworkShape
from kd_core.laws.toys import batch_of
from kd_core.methods.gpac import GPAC
from kd_core.methods.setting import Setting

LN2, LN3 = math.log(2), math.log(3)
D = 0.75 * LN3 - LN2  # KL((3/4, 1/4) ‖ (1/2, 1/2))
LINE = NetworkShape(stages=((1, 1, 2),), embedding=1, classes=2)
OFF = {"beta": 0.0, "alpha": 0.0}


def setting_with(*accuracies: float) -> Setting:
    return Setting(LINE, (LINE,) * len(accuracies), torch.tensor([0, 1]), tuple((a,) for a in accuracies))


def test_instruction():
    # T = 1, student (0, 0) on both samples. d: teacher 0 (D, 0), teacher 1 (0, 0).
    # w at τ = D / ln 2: sample 0 softmax(−ln 2, 0) = (1/3, 2/3), sample 1 (1/2, 1/2); means 5/12 and 7/12.
    # g at γ = 2: teacher 0 relative (2, 0), squared (4, 0), cut to (3, 0), mean 3/2; teacher 1 (0, 0).
    # L_instruct = ½ · 1/3 · 3 · D = D / 2; α = 10 makes it 5·D.
    logits_BK = torch.zeros(2, 2, requires_grad=True)
    teachers = (
        Knowledge(logits_BK=torch.tensor([[LN3, 0.0], [0.0, 0.0]])),
        Knowledge(logits_BK=torch.zeros(2, 2)),
    )
    config = GPAC.Config(alpha=10.0, temperature=1.0, tau_instruct=D / LN2, gamma=2.0, guide_max=3.0, beta=0.0)
    loss = GPAC(config, setting_with(0.5, 0.5)).forward(Knowledge(logits_BK=logits_BK), teachers, batch_of(2), 0.0)
    torch.testing.assert_close(loss.terms, {"ce": torch.tensor(LN2), "instruct": torch.tensor(5 * D)})
    expected = {"weight/teacher0": 5 / 12, "weight/teacher1": 7 / 12, "guide/teacher0": 1.5, "guide/teacher1": 0.0}
    assert {name: value.item() for name, value in loss.curves.items()} == pytest.approx(expected, rel=1e-5)
    # w and g are constants to the gradient: of sample 0 it is 10 · ½ · 1 · (σ(z_s) − σ(z_t)) = 5 · (−1/4, 1/4)
    loss.terms["instruct"].backward()
    torch.testing.assert_close(logits_BK.grad, torch.tensor([[-1.25, 1.25], [0.0, 0.0]]))


def test_attention():
    # Q_s = (3, 4) / 5, Q of teacher 0 (1, 0): mean of (0.4², 0.8²) = 0.4; of teacher 1 (4, 3) / 5: mean of (0.2², 0.2²) = 0.04.
    # Teacher 1 is more accurate by τ·ln 3: π = (1/4, 3/4), L_attention = 0.13. At progress 0.4 the level is 0.5: β = 5.
    student = Knowledge(logits_BK=torch.zeros(1, 2), features=(torch.tensor([3.0, 4.0]).sqrt().view(1, 1, 1, 2),))
    maps = [torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[4.0, 3.0]]])]
    teachers = tuple(Knowledge(maps=(seen,)) for seen in maps)
    method = GPAC(GPAC.Config(alpha=0.0, beta=10.0, top=None, tau_probe=0.1), setting_with(0.5, 0.5 + 0.1 * LN3))
    loss = method.forward(student, teachers, batch_of(1), 0.4)
    torch.testing.assert_close(loss.terms["attention"], torch.tensor(0.65))
    expected = {"selection/stage0/teacher0": 0.25, "selection/stage0/teacher1": 0.75, "beta": 5.0}
    assert {name: value.item() for name, value in loss.curves.items()} == pytest.approx(expected)


def test_beta_falls_at_the_boundaries():
    config = GPAC.Config(beta=100.0)
    assert [config.beta_at(progress) for progress in (0.0, 0.33, 1 / 3, 0.66, 2 / 3, 0.99)] == [100, 100, 50, 50, 10, 10]


@pytest.mark.parametrize(
    ("knobs", "needs"),
    [
        ({}, {Need.LOGITS, Need.ATTENTION, Need.PROBES}),
        ({"alpha": 0.0}, {Need.ATTENTION, Need.PROBES}),
        ({"beta": 0.0}, {Need.LOGITS}),
        ({"levels": (0.0, 0.0, 0.0)}, {Need.LOGITS}),
        ({"top": None}, {Need.LOGITS, Need.ATTENTION, Need.PROBES}),
        ({"top": None, "tau_probe": math.inf}, {Need.LOGITS, Need.ATTENTION}),
        (OFF, set()),
    ],
)
def test_a_part_that_is_off_needs_nothing(knobs, needs):
    assert GPAC.needs(GPAC.Config(**knobs)) == needs


@pytest.mark.parametrize("knobs", [{"levels": (1.0, 0.5)}, {"boundaries": (0.6, 0.3)}, {"boundaries": (0.5,)}])
def test_levels_and_boundaries_fit_together(knobs):
    with pytest.raises(ValueError, match=r"must (hold|rise)"):
        GPAC.Config(**knobs)


def test_without_corrector_and_weights_it_is_the_mean_of_the_teachers():
    # d: teacher 0 (D, 0), teacher 1 (0, 0): the mean over samples and teachers is D / 4
    teachers = (Knowledge(logits_BK=torch.tensor([[LN3, 0.0], [0.0, 0.0]])), Knowledge(logits_BK=torch.zeros(2, 2)))
    config = GPAC.Config(alpha=1.0, temperature=1.0, tau_instruct=math.inf, gamma=0.0, beta=0.0)
    method = GPAC(config, setting_with(0.5, 0.5))
    loss = method.forward(Knowledge(logits_BK=torch.zeros(2, 2)), teachers, batch_of(2), 0.0)
    torch.testing.assert_close(loss.terms["instruct"], torch.tensor(D / 4))


def test_teachers_that_hold_the_predicted_class_likely_may_lead():
    # The student predicts class 1 of (0, 1) and class 0 of (1, 0). T = 1, τ = 1: softmax over t of ln p is p_t over their sum.
    # Teacher 0 says (3/4, 1/4) of both, teacher 1 (1/2, 1/2): of the first (1/4, 1/2) → 1/3, of the second (3/4, 1/2) → 3/5.
    student = Knowledge(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    teachers = (Knowledge(torch.tensor([[LN3, 0.0]] * 2)), Knowledge(torch.zeros(2, 2)))
    method = GPAC(GPAC.Config(beta=0.0, temperature=1.0, direction="class"), setting_with(0.5, 0.5))
    curves = method.forward(student, teachers, batch_of(2), 0.0).curves
    torch.testing.assert_close(curves["weight/teacher0"], torch.tensor((1 / 3 + 3 / 5) / 2))
