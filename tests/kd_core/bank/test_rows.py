"""What is kept in half precision is what was said, to 2⁻¹¹ of every number."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kd_core.bank.rows import packed, packed_top, unpacked
from kd_core.bank.storage import Storage
from kd_core.losses import kl_divergence

HALF = 2.0**-11


def kept(rows, precision="fp16"):
    return unpacked(packed("rows", rows, precision), 0)["rows"]


@pytest.mark.parametrize("magnitude", [1e-20, 1e-6, 1.0, 30.0, 65_504.0, 1e6, 1e30])
def test_every_number_keeps_its_eleven_bits_however_large_its_row_is(magnitude):
    rows = magnitude * torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    assert ((kept(rows) - rows).abs() <= HALF * rows.abs()).all()


@given(st.lists(st.floats(-(2.0**126), 2.0**126, width=32), min_size=1, max_size=8))
def test_nothing_overflows_and_what_is_small_beside_its_row_is_kept_to_the_rows_scale(numbers):
    row = torch.tensor([numbers])
    error = (kept(row) - row).abs()
    largest = max(row.abs().max().item(), 2.0**-100)
    assert (error <= (HALF * row.abs()).clamp(min=largest * 2.0**-38)).all()


def test_rows_of_zeros_and_of_powers_of_two_are_exact():
    rows = torch.tensor([[0.0, 0.0], [2.0**-30, 2.0**-40], [4.0, -0.5], [2.0**100, 2.0**80]])
    assert torch.equal(kept(rows), rows)


def test_a_row_has_one_scale_whatever_its_shape():
    maps = torch.rand(5, 8, 4)
    found = packed("attention0", maps, "fp16")
    assert {name: (value.shape, value.dtype) for name, value in found.items()} == {
        "attention0": ((5, 8, 4), torch.float16),
        "attention0.scale": ((5,), torch.bfloat16),
    }
    torch.testing.assert_close(unpacked(found, 0)["attention0"], maps, rtol=HALF, atol=0)


def test_fp32_is_what_was_said():
    rows = torch.randn(3, 7)
    assert list(packed("rows", rows, "fp32")) == ["rows"]
    assert torch.equal(kept(rows, "fp32"), rows)


CLASSES, TOP = 50, 5


def logits_BK(seed=0):
    """As sure as those of a trained network."""
    return 4 * torch.randn(64, CLASSES, generator=torch.Generator().manual_seed(seed))


def cut(rows, temperature, precision="fp32", top=TOP):
    return unpacked(packed_top("logits", rows, Storage(precision, top, temperature)), rows.shape[1])["logits"]


def test_the_largest_logits_are_kept_and_the_others_share_their_mass_by_hand():
    """Of ln (8, 4, 2, 1, 1) the two largest: the others have the mass 4, so each is read as ln 4/3. At T = 2 the square roots
    count: √2 + 1 + 1, so 2 ln of a third of it."""
    rows = torch.tensor([[8.0, 1.0, 4.0, 1.0, 2.0]]).log()
    for temperature, rest in ((1.0, 4 / 3), (2.0, ((2**0.5 + 2) / 3) ** 2)):
        expected = torch.tensor([[8.0, rest, 4.0, rest, rest]]).log()
        torch.testing.assert_close(cut(rows, temperature, top=2), expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_what_a_softmax_at_that_temperature_loses_is_the_place_of_the_others_mass_and_no_more(temperature, precision):
    said = logits_BK()
    target_BK, kept_BK = ((rows / temperature).softmax(1) for rows in (said, cut(said, temperature, precision)))
    largest_Bk = said.topk(TOP).indices
    rounding = 2 * HALF * said.abs().max().item() / temperature if precision == "fp16" else 1e-5
    torch.testing.assert_close(kept_BK.gather(1, largest_Bk), target_BK.gather(1, largest_Bk), rtol=rounding, atol=1e-6)
    mass_B = 1 - target_BK.gather(1, largest_Bk).sum(1)
    assert ((kept_BK - target_BK).abs().sum(1) / 2 <= mass_B + rounding).all()


def test_the_gradient_of_the_divergence_is_off_by_no_more_than_is_stated():
    for temperature in (1.0, 4.0):
        said, student_BK = logits_BK(), logits_BK(1).requires_grad_()
        gradients = [
            torch.autograd.grad(kl_divergence(rows, student_BK, temperature), student_BK)[0] * len(said)
            for rows in (said, cut(said, temperature))
        ]
        mass_B = 1 - (said / temperature).softmax(1).topk(TOP).values.sum(1)
        off_B = (gradients[0] - gradients[1]).abs().sum(1)
        assert (off_B <= 2 * temperature * mass_B + 1e-5).all()
        assert off_B.max() > 0.01


def test_many_classes_have_wider_names():
    for classes, index in ((1000, torch.int16), (40_000, torch.int32)):
        rows = torch.randn(3, classes, generator=torch.Generator().manual_seed(0))
        found = packed_top("logits", rows, Storage("fp32", 4, 1.0))
        assert found["logits.classes"].dtype == index
        assert torch.equal(unpacked(found, classes)["logits"].topk(4).indices, rows.topk(4).indices)
