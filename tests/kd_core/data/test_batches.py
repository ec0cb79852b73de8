from dataclasses import replace

import pytest
import torch

from kd_core.data.batches import epoch_batches, plain_batches, spans, view_batches
from kd_core.data.split import Split
from kd_core.data.splits import Splits
from kd_core.data.views import IDENTITY, Augmentation, normalise

MEAN, STD = (0.5, 0.4), (0.2, 0.3)


def some(count):
    return Split(torch.randint(0, 256, (count, 2, 4, 4), dtype=torch.uint8), torch.randint(0, 3, (count,)))


@pytest.fixture
def splits():
    return Splits(some(21), some(9), some(5), classes=3, mean=MEAN, std=STD, augmentation=Augmentation(1, flip=True))


def rendered(splits, views_N):
    return normalise(splits.augmentation.render(splits.train.images_NCHW, views_N), torch.tensor(MEAN), torch.tensor(STD))


@pytest.mark.parametrize("batch_size", [1, 4, 21, 64])
def test_an_epoch_shows_every_image_once_under_its_view_whatever_the_batch_size(splits, batch_size):
    views_N = splits.augmentation.draw(seed=7, epoch=2, n=21)
    expected = rendered(splits, views_N)
    seen = []
    for batch in epoch_batches(splits, batch_size, seed=7, epoch=2, device="cpu"):
        assert batch.epoch == 2
        assert torch.equal(batch.labels_B, splits.train.labels_N[batch.indices_B])
        assert torch.equal(batch.views_B, views_N[batch.indices_B])
        assert torch.equal(batch.images_BCHW, expected[batch.indices_B])
        seen += batch.indices_B.tolist()
    assert sorted(seen) == list(range(21))
    assert seen != list(range(21))


def test_further_views_show_the_same_images_otherwise(splits):
    two = replace(splits, further=(Augmentation(1, flip=True), Augmentation(1, flip=True)))
    for one, batch in zip(epoch_batches(splits, 4, 7, 2, "cpu"), epoch_batches(two, 4, 7, 2, "cpu"), strict=True):
        assert torch.equal(batch.images_BCHW, one.images_BCHW)
        assert len(batch.others) == 2
        for view in batch.others:
            assert torch.equal(view.indices_B, batch.indices_B)
            assert torch.equal(view.labels_B, batch.labels_B)
            assert torch.equal(view.images_BCHW, rendered_of(splits, batch.indices_B, view.views_B))
    (whole,) = epoch_batches(two, 64, 7, 2, "cpu")
    shown = [whole.views_B, *(view.views_B for view in whole.others)]
    assert all(not torch.equal(shown[one], shown[other]) for one, other in ((0, 1), (0, 2), (1, 2)))
    (again,) = epoch_batches(two, 64, 7, 2, "cpu")
    assert torch.equal(again.others[1].views_B, shown[2])


def rendered_of(splits, indices_B, views_B):
    images = splits.augmentation.render(splits.train.images_NCHW[indices_B], views_B)
    return normalise(images, torch.tensor(MEAN), torch.tensor(STD))


def test_the_order_is_a_function_of_seed_and_epoch_alone(splits):
    def order(seed, epoch, batch_size=4):
        return torch.cat([b.indices_B for b in epoch_batches(splits, batch_size, seed, epoch, "cpu")]).tolist()

    first = order(0, 0)
    torch.manual_seed(99)
    assert order(0, 0) == order(0, 0, batch_size=64) == first
    assert order(0, 1) != first
    assert order(1, 0) != first


def test_batches_leave_torchs_own_generator_alone(splits):
    torch.manual_seed(0)
    untouched = torch.rand(1)
    torch.manual_seed(0)
    list(epoch_batches(splits, 4, seed=1, epoch=1, device="cpu"))
    assert torch.equal(torch.rand(1), untouched)


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (1, 4, [1]), (3, 1, [1, 1, 1])]
)
def test_sizes_of_batches(count, batch_size, sizes):
    assert [span.stop - span.start for span in spans(count, batch_size)] == sizes


def test_spans_cover_everything_and_leave_no_image_alone():
    for count in range(2, 40):
        for batch_size in range(2, 12):
            found = spans(count, batch_size)
            assert [i for span in found for i in range(span.start, span.stop)] == list(range(count))
            assert all(2 <= span.stop - span.start <= batch_size + 1 for span in found)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_plain_batches_are_the_images_in_order(splits, part):
    batches = list(plain_batches(splits, part, "cpu", batch_size=4))
    split = getattr(splits, part)
    whole = normalise(split.images_NCHW, torch.tensor(MEAN), torch.tensor(STD))
    assert torch.equal(torch.cat([batch.images_BCHW for batch in batches]), whole)
    assert torch.equal(torch.cat([batch.labels_B for batch in batches]), split.labels_N)
    assert torch.equal(torch.cat([batch.indices_B for batch in batches]), torch.arange(len(split)))
    assert all((batch.views_B == IDENTITY).all() for batch in batches)


def test_view_batches_show_one_view_of_every_training_image(splits):
    view = splits.augmentation.view(dy=-1, dx=1, flip=True)
    batches = list(view_batches(splits, view, 8, "cpu"))
    expected = rendered(splits, torch.full((21,), view))
    assert torch.equal(torch.cat([batch.images_BCHW for batch in batches]), expected)
    assert all((batch.views_B == view).all() for batch in batches)
