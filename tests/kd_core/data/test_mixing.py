"""Images that are mixed two by two: by hand, and what they depend on."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from kd_core.data.batches import epoch_batches, spans
from kd_core.data.mixing import Mix, Pairs
from kd_core.knowledge import Batch
from kd_core.losses import label_loss
from tests.support import small

BATCH = 16
SPANS = spans(50, BATCH)


def pairs(share, boxed, centre=(0.5, 0.5)):
    """Of two images, each other's partner."""
    return Pairs(torch.tensor([1, 0]), torch.full((2,), share), torch.tensor([boxed] * 2), torch.tensor([centre] * 2))


ONE, OTHER = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)


def test_mixup_by_hand():
    mixed, share = pairs(0.75, boxed=False).mixed(ONE, OTHER, slice(0, 2))
    torch.testing.assert_close(mixed, torch.full((2, 1, 4, 4), 0.25))
    torch.testing.assert_close(share, torch.tensor([0.75, 0.75]))


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [((0.5, 0.5), (1, 3), (1, 3)), ((0.0, 0.5), (0, 1), (1, 3)), ((0.99, 0.99), (2, 4), (2, 4))],
)
def test_cutmix_by_hand(centre, rows, columns):
    """λ = ¾: a box of half the side, two pixels about its centre, cut off at the edge."""
    mixed, share = pairs(0.75, boxed=True, centre=centre).mixed(ONE, OTHER, slice(0, 2))
    expected = torch.zeros(4, 4)
    expected[rows[0] : rows[1], columns[0] : columns[1]] = 1
    assert torch.equal(mixed[0, 0], expected)
    torch.testing.assert_close(share[0], 1 - expected.mean())


def test_the_label_loss_has_both_labels_at_their_shares():
    logits_BK = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]])
    labels, others, share = torch.tensor([0, 1]), torch.tensor([2, 1]), torch.tensor([0.25, 0.5])
    batch = Batch(torch.zeros(2, 1, 1, 1), labels, labels, labels, 0, smoothing=0.1, mixed=(others, share))
    soft = share[:, None] * F.one_hot(labels, 3) + (1 - share[:, None]) * F.one_hot(others, 3)
    expected = F.cross_entropy(logits_BK, 0.9 * soft + 0.1 / 3)
    torch.testing.assert_close(label_loss(logits_BK, batch), expected)


def test_without_mixing_it_is_the_cross_entropy_to_the_bit():
    logits_BK, labels = torch.randn(5, 3), torch.arange(5) % 3
    batch = Batch(torch.zeros(5, 1, 1, 1), labels, labels, labels, 0)
    assert torch.equal(label_loss(logits_BK, batch), F.cross_entropy(logits_BK, labels))


@pytest.mark.parametrize("mix", [Mix(mixup=0.2), Mix(cutmix=1.0), Mix(mixup=0.8, cutmix=1.0)])
def test_partners_permute_the_batch_and_follow_from_seed_and_epoch(mix):
    found, again, other = mix.pairs(3, 1, SPANS), mix.pairs(3, 1, SPANS), mix.pairs(3, 2, SPANS)
    for span in SPANS:
        assert sorted(found.partners_N[span].tolist()) == list(range(span.start, span.stop))
        assert len(set(found.boxed_N[span].tolist())) == 1  # a batch has one or the other
    assert torch.equal(found.share_N, again.share_N)
    assert not torch.equal(found.share_N, other.share_N)
    assert ((found.share_N >= 0) & (found.share_N <= 1)).all()
    if mix.mixup and mix.cutmix:
        drawn = [bool(mix.pairs(0, epoch, SPANS[:1]).boxed_N[0]) for epoch in range(40)]
        assert 8 < sum(drawn) < 32


def test_a_batch_is_mixed_of_the_views_that_it_has_without_mixing():
    splits, mix = small.splits(), Mix(mixup=1.0)
    plain = list(epoch_batches(splits, BATCH, 0, 2, "cpu"))
    mixed = list(epoch_batches(splits, BATCH, 0, 2, "cpu", mix=mix))
    found = mix.pairs(0, 2, SPANS)
    for span, one, two in zip(SPANS, plain, mixed, strict=True):
        partner = found.partners_N[span] - span.start
        share = found.share_N[span][:, None, None, None]
        torch.testing.assert_close(two.images_BCHW, share * one.images_BCHW + (1 - share) * one.images_BCHW[partner])
        assert torch.equal(two.labels_B, one.labels_B)
        assert torch.equal(two.mixed[0], one.labels_B[partner])
        assert torch.equal(two.indices_B, one.indices_B)
        assert torch.equal(two.views_B, one.views_B)


class Half:
    """The second of two workers."""

    size, rank = 2, 1

    def part(self, span):
        return slice((span.start + span.stop) // 2, span.stop)


def test_a_worker_of_several_mixes_its_part_as_one_alone_does():
    splits, mix = small.splits(), Mix(mixup=0.8, cutmix=1.0)
    whole = list(epoch_batches(splits, BATCH, 0, 0, "cpu", mix=mix))
    part = list(epoch_batches(splits, BATCH, 0, 0, "cpu", group=Half(), mix=mix))
    for one, two in zip(whole, part, strict=True):
        count = len(two.labels_B)
        assert torch.equal(one.images_BCHW[-count:], two.images_BCHW)
        assert torch.equal(one.mixed[0][-count:], two.mixed[0])
