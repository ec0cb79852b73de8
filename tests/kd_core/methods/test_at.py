import torch

from kd_core.knowledge import Knowledge, NetworkShape
from kd_core.laws.toys import batch_of
from kd_core.losses import match_stages
from kd_core.methods.at import AT
from kd_core.methods.setting import Setting


def test_two_teachers_at_one_stage():
    # Q_s = (3, 4) / 5. Teacher 0 at the same size, (1, 0): mean of (0.4², 0.8²) = 0.4.
    # Teacher 1 at 1×4, (7, 1, 3, 3): pooled (4, 3), normalised (0.8, 0.6): mean of (0.2², 0.2²) = 0.04. Mean 0.22.
    line, longer = (NetworkShape(stages=((1, 1, width),), embedding=1, classes=2) for width in (2, 4))
    student = Knowledge(logits_BK=torch.zeros(1, 2), features=(torch.tensor([3.0, 4.0]).sqrt().view(1, 1, 1, 2),))
    teachers = (Knowledge(maps=(torch.tensor([[[1.0, 0.0]]]),)), Knowledge(maps=(torch.tensor([[[7.0, 1.0, 3.0, 3.0]]]),)))
    method = AT(AT.Config(beta=100.0), Setting(line, (line, longer), torch.tensor([0])))
    torch.testing.assert_close(method.forward(student, teachers, batch_of(1), 0.0).terms["attention"], torch.tensor(22.0))


def test_attention_is_the_mean_of_squares_over_channels():
    # two channels, two positions: ((1, 3), (3, 1)) gives (1 + 9) / 2 at each
    features = torch.tensor([[[[1.0, 3.0]], [[3.0, 1.0]]]])
    torch.testing.assert_close(Knowledge(features=(features,)).attention_BHW(0), torch.tensor([[[5.0, 5.0]]]))


def test_stages_match_by_size_then_by_depth():
    student = ((32, 32), (16, 16), (8, 8))
    assert match_stages(student, ((32, 32), (32, 32), (16, 16), (8, 8))) == (1, 2, 3)
    # no size in common: depths 1/3, 2/3, 1 of six stages
    assert match_stages(student, tuple((size, size) for size in (60, 50, 40, 30, 20, 10))) == (1, 3, 5)
