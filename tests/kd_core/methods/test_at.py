import pytest
import torch

from kd_core.bank.decision import maps_suffice
from kd_core.knowledge import Knowledge, Need, NetworkShape
from kd_core.laws.toys import batch_of
from kd_core.losses import attention_distance, match_stages
from kd_core.methods.at import AT
from kd_core.methods.setting import Setting
from kd_core.models.table import model_info


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


def test_maps_of_unequal_size_are_pooled_before_they_are_squared():
    """Features (3, −1, 1, 1) in a row: pooled to two they are (1, 1), of equal attention; squared first they were (5, 1)."""
    wide = Knowledge(features=(torch.tensor([[[[3.0, -1.0, 1.0, 1.0]]]]),))
    narrow = Knowledge(features=(torch.tensor([[[[2.0, 2.0]]]]),))
    for student, teacher in ((wide, narrow), (narrow, wide)):
        torch.testing.assert_close(attention_distance(student, 0, teacher, 0), torch.tensor(0.0))


@pytest.mark.parametrize(
    ("student", "teacher", "suffice"),
    [
        ("resnet8x4", "wrn_40_2", True),
        ("resnet8x4", "vgg13", True),  # whose stages of these sizes are those that match
        ("shufflenet_v1", "resnet32x4", False),  # 16, 8, 4 of 32, 16, 8: its last is smaller than what it learns from
        ("mobilenet_v2", "vgg13", False),
        ("resnet20", "torchvision:resnet18", False),  # of which nothing is known without building it
    ],
)
def test_where_a_banks_maps_have_the_size_that_is_asked_for(student, teacher, suffice):
    assert maps_suffice(model_info(student), model_info(teacher), 32) is suffice


def test_by_order_the_nth_learns_from_the_nth():
    """And what the longer network has beyond that, nothing."""
    deep, flat = ((32, 32), (16, 16), (8, 8), (4, 4)), ((16, 16), (8, 8), (4, 4))
    assert match_stages(flat, deep, "order") == (0, 1, 2)
    assert match_stages(deep, flat, "order") == (0, 1, 2)
    assert match_stages(flat, deep) == (1, 2, 3)
    assert AT.needs(AT.Config(stages="order")) == {Need.FEATURES}  # a bank has no map of another size
