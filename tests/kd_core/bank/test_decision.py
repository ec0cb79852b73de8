"""When a student reads from banks, and why it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kd_core.bank.config import BankConfig
from kd_core.bank.decision import student_bytes, why_live
from kd_core.bank.storage import GIB, Storage
from kd_core.data.table import DataConfig
from kd_core.knowledge import Need
from kd_core.models.table import model_info
from kd_core.recipe import Recipe

DIGITS = DataConfig("digits")  # 9 views
CIFAR = DataConfig("cifar100")  # 162 views of 45,000 images
DRAWN = DataConfig("digits", policy="randaugment")


def costly(fill, seen, who):
    return f"filling its banks takes {fill} views of each image, more than the {seen} that {who} see"


def reason(needs, data, recipe, config, student="resnet8x4", teachers=("resnet32x4",), softened=None):
    return why_live(needs, data, recipe, config, model_info(student), [model_info(name) for name in teachers], softened)


@pytest.mark.parametrize(
    ("needs", "data", "epochs", "mode", "expected"),
    [
        ({Need.LOGITS}, DIGITS, 9, "auto", None),
        ({Need.LOGITS}, DIGITS, 8, "auto", costly(9, 8, "8 epochs")),
        ({Need.LOGITS}, DIGITS, 8, "on", None),
        ({Need.LOGITS}, DIGITS, 9, "off", "banks are off"),
        ({Need.LOGITS, Need.ATTENTION, Need.PROBES}, DIGITS, 18, "auto", None),  # each kind is filled by itself
        ({Need.LOGITS, Need.ATTENTION, Need.PROBES}, DIGITS, 17, "auto", costly(18, 17, "17 epochs")),
        ({Need.LOGITS, Need.FEATURES}, DIGITS, 9, "on", "whole feature maps are not kept in banks"),  # a live pass gives all
        ({Need.LOGITS}, CIFAR, 240, "auto", None),
        ({Need.EMBEDDING}, CIFAR, 240, "auto", None),
        ({Need.LOGITS}, DRAWN, 240, "on", "drawn views have no end, without data.draws"),
        ({Need.LOGITS}, replace(DRAWN, draws=9), 10, "auto", None),
        (
            {Need.LOGITS},
            replace(DRAWN, draws=9),
            9,
            "auto",
            costly(10, 9, "9 epochs"),
        ),
    ],
)
def test_when_banks_are_used_and_why_they_are_not(needs, data, epochs, mode, expected):
    assert reason(needs, data, Recipe(epochs=epochs), BankConfig(mode)) == expected


def test_students_that_are_said_to_share_a_bank_pay_for_it_together():
    eight = Recipe(epochs=8)
    assert reason({Need.LOGITS}, DIGITS, eight, BankConfig(shared_by=2)) is None
    few = reason({Need.LOGITS, Need.ATTENTION}, DIGITS, eight, BankConfig(shared_by=2))
    assert few == costly(18, 16, "8 epochs of 2 students")
    assert reason({Need.LOGITS}, DIGITS, Recipe(epochs=1), BankConfig(mode="off", shared_by=99)) == "banks are off"


def test_mixed_images_are_in_no_bank():
    for mixing in ({"mixup": 0.2}, {"cutmix": 1.0}):
        assert reason({Need.LOGITS}, DIGITS, Recipe(**mixing), BankConfig("on")) == "mixed images have no end"


def test_the_limit_is_of_all_banks_that_a_student_reads():
    """Logits of one teacher: 162 views × 45,000 images × (100 numbers of 2 bytes and a scale) = 1.37 GiB; of three, 4.11."""
    three = ("resnet32x4", "wrn_40_2", "vgg13")
    assert student_bytes({Need.LOGITS}, CIFAR, BankConfig(), [model_info("vgg13")], None) == 162 * 45_000 * 202
    assert reason({Need.LOGITS}, CIFAR, Recipe(), BankConfig(limit_gib=4.2), teachers=three) is None
    refused = "its banks would take 4.11 GiB, more than bank.limit_gib"
    assert reason({Need.LOGITS}, CIFAR, Recipe(), BankConfig(limit_gib=4.1), teachers=three) == refused


def test_the_literatures_main_case_has_a_bank_by_default():
    """Three teachers' logits, at any of its sizes; on all 50,000 images too."""
    three = ("resnet32x4", "wrn_40_2", "vgg13")
    for data in (CIFAR, replace(CIFAR, validation=0), DataConfig("cifar10")):
        assert reason({Need.LOGITS}, data, Recipe(), BankConfig(), teachers=three) is None


@pytest.mark.parametrize(
    ("need", "teacher", "numbers", "tensors"),
    [
        (Need.LOGITS, "vgg13", 100, 1),
        (Need.EMBEDDING, "resnet32x4", 256, 1),
        (Need.EMBEDDING, "torchvision:resnet18", 2048, 1),  # of which nothing is known without building it
        (Need.ATTENTION, "resnet32x4", 32**2 + 16**2 + 8**2, 3),
        (Need.ATTENTION, "torchvision:resnet18", 32**2 * 4 // 3, 1),
    ],
)
def test_bytes_of_a_row(need, teacher, numbers, tensors):
    for precision, number, scale in (("fp16", 2, 2), ("fp32", 4, 0)):
        row = Storage(precision).row_bytes(need, CIFAR, model_info(teacher))
        assert row == numbers * number + tensors * scale
    assert Storage().bank_bytes(Need.LOGITS, CIFAR, model_info("vgg13")) / GIB == pytest.approx(1.37, abs=0.01)


def test_the_largest_logits_are_kept_for_who_takes_a_softmax_alone():
    few = BankConfig(top=20)
    refused = "bank.top keeps 20 of 100 logits, and its method takes more of them than a softmax at one temperature"
    assert reason({Need.LOGITS}, CIFAR, Recipe(), few) == refused
    assert reason({Need.LOGITS}, CIFAR, Recipe(), few, softened=4.0) is None
    assert reason({Need.EMBEDDING}, CIFAR, Recipe(), few) is None
    assert few.storage(Need.LOGITS, CIFAR, 4.0) == Storage("fp16", 20, 4.0)
    assert few.storage(Need.EMBEDDING, CIFAR, 4.0) == Storage()
    assert reason({Need.LOGITS}, DIGITS, Recipe(), few) is None, "10 classes are kept whole"
    assert few.storage(Need.LOGITS, DIGITS, 4.0) == Storage()


def test_300_drawn_views_of_imagenet_fit_in_tens_of_gigabytes():
    """301 views × 1,281,167 images × (20 numbers of 2 bytes and a scale, 20 classes of 2 bytes, and 4 bytes) = 33 GB."""
    data = DataConfig("imagenet", validation=0, crop="resized", draws=300)
    teacher = model_info("torchvision:resnet34")
    assert BankConfig(top=20).storage(Need.LOGITS, data, 1.0).bank_bytes(Need.LOGITS, data, teacher) == 301 * 1_281_167 * 86
    assert 301 * 1_281_167 * 86 < 34e9
    assert Storage().bank_bytes(Need.LOGITS, data, teacher) > 7e11
    assert reason({Need.LOGITS}, data, Recipe(epochs=301), BankConfig(top=20, limit_gib=32), softened=1.0) is None
