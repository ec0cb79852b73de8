"""The bank says what the teacher would say."""

from __future__ import annotations

import functools
import itertools
import threading
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from kd_core.bank.fill import fill
from kd_core.bank.read import Bank, banks_of, gathered_ahead
from kd_core.bank.source import Live
from kd_core.bank.storage import PRECISIONS, Storage
from kd_core.bank.tables import room
from kd_core.data.batches import epoch_batches
from kd_core.data.table import DataConfig
from kd_core.knowledge import Need
from kd_core.methods.table import METHODS
from kd_core.models.info import ModelInfo
from kd_core.recipe import Recipe
from kd_core.training.loop import Training
from tests.support import small

KEPT = (Need.LOGITS, Need.EMBEDDING, Need.ATTENTION)


@pytest.fixture
def teacher():
    return small.network(seed=3, width=6).eval()


@pytest.fixture
def made(teacher, tmp_path):
    def files(precision):
        for need in KEPT:
            kept = fill(teacher, small.splits(), need, "cpu", Storage(precision), batch_size=7)
            save_file(kept, tmp_path / f"{need}.{precision}")
        return [[tmp_path / f"{need}.{precision}"] for need in KEPT]

    return files


def test_shapes(teacher):
    views, count = 3 * 3 * 2, 50
    assert fill(teacher, small.splits(), Need.LOGITS, "cpu")["logits"].shape == (views, count, small.CLASSES)
    maps = fill(teacher, small.splits(), Need.ATTENTION, "cpu")
    assert {name: value.shape for name, value in maps.items()} == {
        "attention0": (views, count, 8, 8),
        "attention0.scale": (views, count),
        "attention1": (views, count, 4, 4),
        "attention1.scale": (views, count),
    }


def test_bytes_are_those_that_the_plan_tells(teacher):
    info = ModelInfo(strides=(1, 2), embedding=12)  # of the small network at width 6
    data = DataConfig("image_folder", folder="x", size=8, classes=small.CLASSES, train_images=50, padding=1, validation=0)
    kept = [(need, Storage(precision)) for precision in PRECISIONS for need in KEPT]
    for need, storage in (*kept, (Need.LOGITS, Storage("fp16", 1, 4.0)), (Need.LOGITS, Storage("fp32", 1, 4.0))):
        tensors = fill(teacher, small.splits(), need, "cpu", storage)
        assert sum(value.nbytes for value in tensors.values()) == storage.bank_bytes(need, data, info)


@pytest.mark.parametrize(("precision", "error"), [("fp16", 1e-3), ("fp32", 1e-5)])
def test_it_says_what_the_teacher_says_of_every_batch(teacher, made, precision, error):
    live, bank = Live(teacher, "cpu"), Bank(made(precision), "cpu", small.CLASSES)
    close = functools.partial(torch.testing.assert_close, rtol=error, atol=1e-6)
    for epoch in range(3):
        for batch in epoch_batches(small.splits(), 16, seed=0, epoch=epoch, device="cpu"):
            said, kept = live(batch), bank(batch)
            close(kept.logits_BK, said.logits_BK)
            close(kept.embedding_BD, said.embedding_BD)
            assert kept.stages == said.stages == 2
            for stage in range(2):
                close(kept.attention_BHW(stage), said.attention_BHW(stage))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_student_learns_the_same_from_either(teacher, made, precision):
    def run(source):
        student = small.network()
        method = METHODS["at"](METHODS["at"].Config(beta=10.0), small.setting(student, (teacher,)))
        recipe = Recipe(epochs=3, batch_size=16, lr=0.05)
        return Training(student, method, (source,), small.splits(), recipe, seed=0).run().history[-1].metrics

    live, bank = run(Live(teacher, "cpu")), run(Bank(made(precision), "cpu", small.CLASSES))
    assert bank == pytest.approx(live, rel=1e-3)


def test_a_bank_in_parts_is_the_whole_one_bit_by_bit(teacher, tmp_path):
    splits, bounds = small.splits(), [0, 5, 6, 18]
    whole = fill(teacher, splits, Need.ATTENTION, "cpu")
    save_file(whole, tmp_path / "whole")
    files = []
    for begin, end in itertools.pairwise(bounds):
        part = fill(teacher, splits, Need.ATTENTION, "cpu", views=range(begin, end))
        assert all(torch.equal(value, whole[name][begin:end]) for name, value in part.items())
        files.append(tmp_path / f"from {begin}")
        save_file(part, files[-1])
    one = Bank([[tmp_path / "whole"]], "cpu", small.CLASSES)
    others = [Bank([files], "cpu", small.CLASSES, room) for room in (0, 10**9)]
    assert [other.resident for other in others] == [False, True]
    for batch in epoch_batches(splits, 16, seed=0, epoch=0, device="cpu"):
        for other in others:
            assert all(torch.equal(*maps) for maps in zip(one(batch).maps, other(batch).maps, strict=True))


def test_banks_lie_on_the_device_as_long_as_there_is_room(teacher, made, monkeypatch):
    files = made("fp16")
    size = Bank(files, "cpu", small.CLASSES).size
    monkeypatch.setattr("kd_core.bank.read.room", lambda device, share: int(share * 5 * size))
    assert [bank.resident for bank in banks_of([files] * 3, "cpu", small.CLASSES, 0.5)] == [True, True, False]
    assert room("cpu", 1.0) == 0


@pytest.mark.parametrize("parts", [1, 3])
def test_what_is_gathered_ahead_is_what_is_asked_for(teacher, tmp_path, parts):
    """Batch by batch, and where a loop was left in the middle the batch before is never taken for another."""
    splits, files = small.splits(), []
    for part in range(parts):
        views = range(18 * part // parts, 18 * (part + 1) // parts)
        files.append(tmp_path / str(part))
        save_file(fill(teacher, splits, Need.LOGITS, "cpu", views=views), files[-1])
    plain, ahead = Bank([files], "cpu", small.CLASSES), Bank([files], "cpu", small.CLASSES)
    ahead.ahead = True
    asked = []
    rows = ahead._rows
    ahead._rows = lambda batch: asked.append(threading.current_thread().name) or rows(batch)

    def batches(epoch):
        return epoch_batches(splits, 16, seed=0, epoch=epoch, device="cpu")

    for batch in gathered_ahead(batches(0), [ahead]):
        ahead(replace(batch, smoothing=0.1))
        break
    for epoch in range(3):
        seen = 0
        for batch in gathered_ahead(batches(epoch), [plain, ahead]):
            batch = replace(batch, smoothing=0.1)  # as the training does
            assert torch.equal(ahead(batch).logits_BK, plain(batch).logits_BK)
            seen += len(batch.labels_B)
        assert seen == len(splits.train)
    assert len(asked) > 3
    assert all(name.startswith("bank") for name in asked)
    assert torch.equal(ahead(batch).logits_BK, plain(batch).logits_BK), "also where nobody prepared it"


def test_a_bank_of_the_largest_logits_says_the_softmax_at_its_temperature(teacher, tmp_path):
    """Of three classes one is kept: the other two have the mean of their probabilities at T = 4."""
    save_file(fill(teacher, small.splits(), Need.LOGITS, "cpu", Storage("fp16", 1, 4.0)), tmp_path / "bank")
    live, bank = Live(teacher, "cpu"), Bank([[tmp_path / "bank"]], "cpu", small.CLASSES)
    for batch in epoch_batches(small.splits(), 16, seed=0, epoch=0, device="cpu"):
        said_BK, kept_BK = ((source(batch).logits_BK / 4).softmax(1) for source in (live, bank))
        sorted_BK = said_BK.sort(1, descending=True).values
        expected_BK = torch.cat([sorted_BK[:, :1], sorted_BK[:, 1:].mean(1, keepdim=True).expand(-1, 2)], 1)
        torch.testing.assert_close(kept_BK.sort(1, descending=True).values, expected_BK, rtol=1e-3, atol=0)
        assert torch.equal(kept_BK.argmax(1), said_BK.argmax(1))
