"""Methods that ask where and at which stage a class is seen: CAT-KD, SDD, OFA-KD, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kd_core.knowledge import Knowledge, NetworkShape
from kd_core.laws.toys import batch_of
from kd_core.methods.cat_kd import class_maps_BKHW
from kd_core.methods.modules.exits import Exits, Merging
from kd_core.methods.ofa import enhanced_loss
from kd_core.methods.sdd import cell_logits_BCK
from kd_core.models.table import build
from tests.support.hand import LN2, LN3, D, logits, of

close = torch.testing.assert_close


def head(*rows: tuple[float, ...]) -> nn.Linear:
    linear = nn.Linear(2, 2)
    linear.weight.data = torch.tensor(rows)
    nn.init.zeros_(linear.bias)
    return linear.requires_grad_(False)


IDENTITY = head((1.0, 0.0), (0.0, 1.0))


def seen(*channels: list[list[float]]) -> Knowledge:
    """One sample's last feature map, read by the identity."""
    last_BCHW = torch.tensor([channels])
    embedding_BD = last_BCHW.mean((2, 3))
    return Knowledge(IDENTITY(embedding_BD), (last_BCHW,), embedding_BD, last_BCHW, IDENTITY)


def test_class_maps_average_to_the_logits():
    network = build("resnet8", channels=1, classes=5).eval()
    said = network.observe(torch.randn(3, 1, 8, 8))
    maps_BKHW = class_maps_BKHW(said.pooled_BCHW, network.head.weight)
    close(maps_BKHW.mean((2, 3)) + network.head.bias, said.logits_BK)


def test_cat_kd_by_hand():
    # Pooled to one cell the maps are the logits without a bias: (1, 2) against the teacher's W (1, 2) = (2, 1): mean square 1.
    student, teacher = seen([[0.0, 2.0]], [[2.0, 2.0]]), seen([[1.0, 1.0]], [[2.0, 2.0]])
    swapped = head((0.0, 1.0), (1.0, 0.0))
    method = of("cat_kd", teachers=2, heads=(swapped, IDENTITY), beta=10.0, resolution=1)
    terms = method.forward(student, (teacher, student), batch_of(1), 0.0).terms
    close(terms["attention"], torch.tensor(10 * 1 / 2))
    close(terms["ce"], torch.tensor(math.log(1 + math.e)))


def test_cat_transfers_normalised_maps_without_labels():
    # class 0: (3, 4, 3, 4)/√50 against (4, 3, 4, 3)/√50: mean square (1/50); class 1 agrees whatever its scale
    student = seen([[3.0, 4.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]])
    teacher = seen([[4.0, 3.0], [4.0, 3.0]], [[7.0, 7.0], [7.0, 7.0]])
    method = of("cat_kd", teachers=1, heads=(IDENTITY,), ce=0.0, beta=400.0, normalise=True)
    terms = method.forward(student, (teacher,), batch_of(1), 0.0).terms
    close(terms, {"attention": torch.tensor(400 / 50 / 2)})


def test_cells_are_the_whole_and_its_parts():
    said = seen([[0.0, 1.0], [2.0, 3.0]], [[4.0, 4.0], [4.0, 4.0]])
    expected = torch.tensor([[[1.5, 4.0], [0.0, 4.0], [1.0, 4.0], [2.0, 4.0], [3.0, 4.0]]])
    close(cell_logits_BCK(said, IDENTITY, (1, 2)), expected)


@pytest.mark.parametrize("base", ["kd", "dkd"])
def test_sdd_by_hand(base):
    # Two classes, label 0, T = 1. The teacher's whole is right (ln 3 in the mean), its left half says (3/4, 1/4) twice over,
    # so is consistent; its right half prefers class 1 and is complementary.
    left, right = 3 * LN3, -LN3
    teacher = seen([[left, right]], [[0.0, 0.0]])
    student = seen([[0.0, 0.0]], [[0.0, 0.0]])
    method = of("sdd", teachers=1, heads=(IDENTITY,), base=base, alpha=1.0, beta=9.0, temperature=1.0, scales=(1, 2), warmup=0)
    terms = method.forward(student, (teacher,), batch_of(1), 0.0).terms

    def divergence(logit):
        p = 1 / (1 + math.exp(-logit))
        return LN2 + p * math.log(p) + (1 - p) * math.log(1 - p)

    close(torch.tensor(divergence(LN3)), torch.tensor(D))
    # four cells of a 1 × 2 map: each half twice. Of two classes there is no other class: DKD is its α alone.
    close(terms["cells"], torch.tensor(divergence(LN3) + 2 * divergence(left) + 2 * 2.0 * divergence(right)))


def test_sdd_warms_up():
    teacher, student = seen([[LN3, LN3]], [[0.0, 0.0]]), seen([[0.0, 0.0]], [[0.0, 0.0]])
    method = of("sdd", teachers=1, heads=(IDENTITY,), base="kd", temperature=1.0, scales=(1,))
    for epoch, share in ((0, 1 / 20), (9, 0.5), (30, 1.0)):
        close(method.forward(student, (teacher,), batch_of(1, epoch=epoch), 0.0).terms["cells"], torch.tensor(share * D))


def test_sdd_scales_begin_with_the_whole():
    with pytest.raises(ValueError, match=r"`scales` must rise from 1, the whole map, but got \[2, 4\]"):
        of("sdd", scales=(2, 4))


def test_ofas_loss_by_hand():
    # Teacher (3/4, 1/4), student even, label 0. ε = 1: 3/4 + 1/4 of ln 2; ε = 2: (7/4)² − 1 and 1/16 of ln 2.
    target, even, label = torch.tensor([[LN3, 0.0]]), torch.zeros(1, 2), torch.tensor([0])
    close(enhanced_loss(target, even, label, 1.0, 1.0), torch.tensor(LN2))
    close(enhanced_loss(target, even, label, 2.0, 1.0), torch.tensor((33 / 16 + 1 / 16) * LN2))


def test_ofa_asks_the_logits_and_every_exit():
    shape = NetworkShape(stages=((2, 4, 4), (4, 2, 2)), embedding=4, classes=2)
    method = of("ofa", teachers=2, shape=shape, beta=3.0, kl=2.0)
    for module in method.own.modules():  # the exits say (0, 0)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.weight)
    student = Knowledge(torch.zeros(1, 2), (torch.randn(1, 2, 4, 4), torch.randn(1, 4, 2, 2)))
    teachers = (logits((LN3, 0.0)), logits((0.0, LN3)))
    close(
        method.forward(student, teachers, batch_of(1), 0.0).terms,
        {"ce": torch.tensor(LN2), "kl": torch.tensor(2 * LN2), "exits": torch.tensor(3 * 2 * LN2)},
    )


def test_an_exit_halves_as_often_as_the_stages_after_it():
    exits = Exits([(4, 8, 8), (8, 4, 4), (16, 2, 2)], 10, 3)
    strides = [[layer.stride[0] for layer in exit_.modules() if isinstance(layer, nn.Conv2d)] for exit_ in exits.exits]
    assert [each.count(2) for each in strides] == [2, 1, 0]
    features = [torch.randn(2, 4, 8, 8), torch.randn(2, 8, 4, 4), torch.randn(2, 16, 2, 2)]
    assert [logits_BK.shape for logits_BK in exits(features)] == [(2, 3)] * 3


def test_an_exit_of_tokens_has_as_many_blocks_as_stages_after_it_on_seven_patches_a_side():
    exits = Exits([(1 + 14 * 14, 8)] * 4, 10, 3)
    blocks = [[module for module in exit_.modules() if isinstance(module, nn.TransformerEncoderLayer)] for exit_ in exits.exits]
    assert [len(each) for each in blocks] == [3, 2, 1, 1]
    merged_BPD = exits.exits[0].layers[0](torch.randn(2, 197, 8))
    assert merged_BPD.shape == (2, 1 + 7 * 7, 8)
    assert [logits_BK.shape for logits_BK in exits([torch.randn(2, 197, 8)] * 4)] == [(2, 3)] * 4
    assert not any(isinstance(module, Merging) for module in Exits([(65, 8)], 10, 3).modules())


def test_patches_that_touch_are_merged_and_the_class_token_passes():
    """Of 4 × 4 patches numbered row by row the first square is 0, 1, 4 and 5."""
    merging = Merging(4, 1)
    merging.norm = nn.Identity()
    nn.init.constant_(merging.reduce.weight, 1)
    tokens_BPD = torch.tensor([100, *range(16)], dtype=torch.float)[None, :, None]
    assert merging(tokens_BPD)[0, :, 0].tolist() == [100, 10, 18, 42, 50]
