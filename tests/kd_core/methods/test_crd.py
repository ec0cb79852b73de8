import math

import pytest
import torch

from kd_core.knowledge import Batch
from kd_core.laws.toys import SAMPLES, batch_of
from kd_core.methods.crd import contrast
from kd_core.methods.modules.memory import Memory, Negatives, uniform_BJ
from tests.support.hand import embedded, of


def test_contrast():
    # N = 8, two negatives: noise J/N = ¼. Positive P = ½: h = ½ / ¾ = 2/3. Negatives P = ¼: 1 − h = ¼ / ½ each.
    # c = ln(3/2) + 2 ln 2 = ln 6.
    torch.testing.assert_close(contrast(torch.tensor([[0.5, 0.25, 0.25]]), 8), torch.tensor(math.log(6)))


def test_probabilities_and_their_constant():
    # N = 2 vectors (1, 0), (0, 1), τ = 1: the anchor (1, 0) gives (e, 1), Z = 2 · (e + 1) / 2, and Z stays.
    memory = Memory(2, 3, 2)
    memory.vectors_ND = torch.eye(2)
    drawn_BJ = torch.tensor([[0, 1]])
    first = memory.probabilities(torch.tensor([[1.0, 0.0]]), drawn_BJ, 1.0)
    torch.testing.assert_close(first, torch.tensor([[math.e, 1.0]]) / (math.e + 1))
    second = memory.probabilities(torch.tensor([[0.0, 0.0]]), drawn_BJ, 1.0)
    torch.testing.assert_close(second, torch.tensor([[1.0, 1.0]]) / (math.e + 1))


def test_memory_moves_and_keeps_its_norm():
    # (1, 0) and (0, 1) in equal parts: (1, 1) / √2; the other vector stays
    memory = Memory(2, 3, 2)
    memory.vectors_ND = torch.eye(2)
    memory.update(torch.tensor([0]), torch.tensor([[0.0, 1.0]]), 0.5)
    torch.testing.assert_close(memory.vectors_ND, torch.tensor([[math.sqrt(0.5), math.sqrt(0.5)], [0.0, 1.0]]))


def test_vectors_start_with_norm_one_on_average():
    assert Memory(500, 3, 64).vectors_ND.square().sum(1).mean().item() == pytest.approx(1, abs=0.05)


def test_the_first_loss_of_a_batch():
    # An independent reading of the formula, with loops, of what forward computes before it updates its memories.
    torch.manual_seed(0)
    method = of("crd", samples=SAMPLES, negatives=5, dimension=3, tau=0.5, beta=2.0)
    student, *teachers = (embedded(*torch.randn(2, 2).tolist()) for _ in range(3))
    drawn_BJ = method.negatives(batch_of(2), 5)
    expected = 0.0
    for (of_student, of_teacher), teacher in zip(method.memories, teachers, strict=True):
        for anchors, vectors in (
            (of_student.unit(student.embedding_BD), of_teacher.vectors_ND),
            (of_teacher.unit(teacher.embedding_BD), of_student.vectors_ND),
        ):
            raw = [
                [math.exp((anchor @ vectors[j]).item() / 0.5) for j in [i, *drawn_BJ[i].tolist()]]
                for i, anchor in enumerate(anchors)
            ]
            normaliser = SAMPLES * sum(map(sum, raw)) / 12
            for positive, *negatives in raw:
                share = [value / normaliser / (value / normaliser + 5 / SAMPLES) for value in (positive, *negatives)]
                expected -= (math.log(share[0]) + sum(math.log(1 - each) for each in share[1:])) / 2
    found = method.forward(student, tuple(teachers), batch_of(2), 0.0).terms["contrast"]
    assert found.item() == pytest.approx(2.0 * expected / 2, rel=1e-4)


def test_negatives_are_of_other_classes_and_all_of_them():
    labels_N = torch.tensor([0, 2, 1, 0, 2, 2, 0, 1])
    negatives = Negatives(labels_N, 3)
    batch = batch_of(3)  # labels 0, 1, 2
    drawn_BJ = negatives(batch, 6000)
    for label, drawn_J in zip(batch.labels_B.tolist(), drawn_BJ, strict=True):
        others = (labels_N != label).nonzero().flatten().tolist()
        counts = torch.bincount(drawn_J, minlength=8)
        assert counts.nonzero().flatten().tolist() == others
        assert counts[others].float().std() < 3 * math.sqrt(6000 / len(others))


def test_negatives_are_a_function_of_salt_epoch_and_index():
    negatives = Negatives(torch.arange(30) % 3, 3)
    drawn = negatives(batch_of(3), 50)
    assert torch.equal(drawn, negatives(batch_of(3), 50))
    assert torch.equal(drawn[1:], negatives(last_two(), 50))
    assert not torch.equal(drawn, negatives(batch_of(3, epoch=1), 50))
    negatives.salt += 1
    assert not torch.equal(drawn, negatives(batch_of(3), 50))


def last_two() -> Batch:
    """The second and the third of three samples."""
    batch = batch_of(3)
    return Batch(batch.images_BCHW[1:], batch.labels_B[1:], batch.indices_B[1:], batch.views_B[1:], batch.epoch)


def test_bits_are_those_of_whole_number_arithmetic():
    def lowbias32(x: int) -> int:
        x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
        x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
        return x ^ (x >> 16)

    salt, epoch, index, draw = 4_000_000_000, 239, 49_999, 16_383
    expected = lowbias32(lowbias32(lowbias32((lowbias32(salt) + epoch) % 2**32) ^ index) ^ draw)
    assert uniform_BJ(torch.tensor(salt), epoch, torch.tensor([index]), draw + 1)[0, -1].item() == expected


def test_memory_takes_two_vectors_a_sample_and_teacher():
    method = of("crd", teachers=1, samples=1000, dimension=16)
    numbers = sum(tensor.numel() for tensor in method.own.state_dict().values())
    assert 2 * 1000 * 16 <= numbers < 2 * 1000 * 16 + 200
