"""The bank says what the teacher would say."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from kd_core.bank import Bank, Live, fill, why_live
from kd_core.data.batches import epoch_batches
from kd_core.data.table import DataConfig
from kd_core.knowledge import Need
from kd_core.methods.table import METHODS
from kd_core.recipe import Recipe
from kd_core.training.loop import Training
from tests.support import small

KEPT = (Need.LOGITS, Need.EMBEDDING, Need.ATTENTION)


@pytest.fixture
def teacher():
    return small.network(seed=3, width=6).eval()


@pytest.fixture
def files(teacher, tmp_path):
    for need in KEPT:
        save_file(fill(teacher, small.splits(), need, "cpu", batch_size=7), tmp_path / need)
    return [tmp_path / need for need in KEPT]


def test_shapes(teacher):
    views, count = 3 * 3 * 2, 50
    assert fill(teacher, small.splits(), Need.LOGITS, "cpu")["logits"].shape == (views, count, small.CLASSES)
    maps = fill(teacher, small.splits(), Need.ATTENTION, "cpu")
    assert {name: value.shape for name, value in maps.items()} == {
        "attention0": (views, count, 8, 8),
        "attention1": (views, count, 4, 4),
    }


def test_it_says_what_the_teacher_says_of_every_batch(teacher, files):
    live, bank = Live(teacher, "cpu"), Bank(files, "cpu")
    for epoch in range(3):
        for batch in epoch_batches(small.splits(), 16, seed=0, epoch=epoch, device="cpu"):
            said, kept = live(batch), bank(batch)
            torch.testing.assert_close(kept.logits_BK, said.logits_BK)
            torch.testing.assert_close(kept.embedding_BD, said.embedding_BD)
            assert kept.stages == said.stages == 2
            for stage in range(2):
                torch.testing.assert_close(kept.attention_BHW(stage), said.attention_BHW(stage))


def test_a_student_learns_the_same_from_either(teacher, files):
    def run(source):
        student = small.network()
        method = METHODS["at"](METHODS["at"].Config(beta=10.0), small.setting(student, (teacher,)))
        recipe = Recipe(epochs=3, batch_size=16, lr=0.05)
        return Training(student, method, (source,), small.splits(), recipe, seed=0).run().history[-1].metrics

    live, bank = run(Live(teacher, "cpu")), run(Bank(files, "cpu"))
    assert bank == pytest.approx(live, rel=1e-3)


DIGITS = DataConfig("digits")  # 9 views
CIFAR = DataConfig("cifar100")  # 162 views × 45,000 images × 100 logits × 4 bytes = 2.7 GiB


@pytest.mark.parametrize(
    ("needs", "data", "epochs", "mode", "limit", "reason"),
    [
        ({Need.LOGITS}, DIGITS, 9, "auto", 2, None),
        ({Need.LOGITS}, DIGITS, 8, "auto", 2, "an image has 9 views, more than the 8 epochs would see"),  # live is cheaper
        ({Need.LOGITS}, DIGITS, 8, "on", 2, None),
        ({Need.LOGITS}, DIGITS, 9, "off", 2, "banks are off"),
        ({Need.LOGITS, Need.ATTENTION, Need.PROBES}, DIGITS, 9, "auto", 2, None),
        ({Need.LOGITS, Need.FEATURES}, DIGITS, 9, "on", 2, "whole feature maps are not kept in banks"),  # a live pass gives all
        ({Need.LOGITS}, CIFAR, 240, "auto", 2, "a bank of up to 2.72 GiB is above bank.limit_gib"),
        ({Need.LOGITS}, CIFAR, 240, "auto", 3, None),
    ],
)
def test_when_a_bank_is_used_and_why_it_is_not(needs, data, epochs, mode, limit, reason):
    assert why_live(needs, data, Recipe(epochs=epochs), mode, limit) == reason


def test_mixed_images_are_in_no_bank():
    for mixing in ({"mixup": 0.2}, {"cutmix": 1.0}):
        assert why_live({Need.LOGITS}, DIGITS, Recipe(**mixing), "on", 2) == "mixed images have no end"
