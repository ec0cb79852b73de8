from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kd_core.data.batches import epoch_batches, plain_batches
from kd_core.data.digits import digits
from kd_core.data.load import LOADERS, load
from kd_core.data.split import DataError
from kd_core.data.table import DATASETS, DataConfig
from kd_core.data.views import Augmentation
from tests.support.data_world import make

NOWHERE = Path("/nonexistent")


def digits_splits(**knobs):
    return load(DataConfig("digits", **knobs), NOWHERE)


def same(a, b):
    return torch.equal(a.images_NCHW, b.images_NCHW) and torch.equal(a.labels_N, b.labels_N)


def multiset(*splits):
    """The images and labels of some splits as sorted rows, with their repetitions."""
    return sorted(row for s in splits for row in torch.cat([s.images_NCHW.flatten(1), s.labels_N[:, None]], 1).tolist())


def test_every_data_set_has_a_loader():
    assert set(LOADERS) == set(DATASETS)


@pytest.fixture(params=DATASETS)
def some(request, tmp_path, monkeypatch):
    """A small data set of every kind: its config, and what loads it with other knobs."""
    config = make(request.param, tmp_path, monkeypatch)
    return config, lambda **knobs: load(replace(config, **knobs), tmp_path)


def test_splits_are_what_the_table_says(some):
    config, loaded = some
    splits, info = loaded(), config.info
    for part in (splits.train, splits.validation, splits.test):
        assert part.images_NCHW.shape == (len(part), info.channels, info.size, info.size)
        assert part.images_NCHW.is_contiguous()
        assert part.labels_N.unique().tolist() == list(range(info.classes))
    assert splits.classes == info.classes
    assert len(set(splits.names)) == len(splits.names)
    assert len(splits.names) in (0, info.classes)
    assert splits.image == (info.channels, info.size, info.size)
    assert len(splits.mean) == len(splits.std) == info.channels
    assert splits.augmentation.views == config.views
    assert len(splits.validation) == round(config.validation * (len(splits.train) + len(splits.validation)))


def test_without_a_validation_split_all_images_are_trained_on(some):
    _, loaded = some
    whole, split = loaded(validation=0), loaded()
    assert len(whole.validation) == 0
    assert multiset(whole.train) == multiset(split.train, split.validation)
    assert same(whole.test, split.test)


def test_the_same_config_gives_the_same_bits(some):
    _, loaded = some
    first, again, other = loaded(), loaded(), loaded(split_seed=1)
    for part in ("train", "validation", "test"):
        assert same(getattr(first, part), getattr(again, part))
    assert not same(first.validation, other.validation)
    assert same(first.test, other.test)
    assert multiset(first.train, first.validation) == multiset(other.train, other.validation)


def test_fewer_images_and_wrong_labels_of_every_data_set(some):
    config, loaded = some
    size = 2 * config.info.classes
    whole, clean, noisy = loaded(), loaded(train_size=size), loaded(train_size=size, label_noise=0.5)
    rows = multiset(whole.train)
    assert len(clean.train) == size
    assert all(row in rows for row in multiset(clean.train))
    assert torch.equal(clean.train.images_NCHW, noisy.train.images_NCHW)
    assert (clean.train.labels_N != noisy.train.labels_N).sum() == config.info.classes
    for part in ("validation", "test"):
        assert same(getattr(whole, part), getattr(noisy, part))


def test_every_data_set_comes_in_other_sizes(some):
    config, loaded = some
    splits, small = loaded(), loaded(size=12)
    assert small.image == (config.info.channels, 12, 12)
    assert small.augmentation == Augmentation(padding=1, flip=config.info.flip)
    assert torch.equal(small.train.labels_N, splits.train.labels_N)
    brightness = [split.images_NCHW.double().mean((1, 2, 3)) for split in (splits.test, small.test)]
    assert (brightness[0] - brightness[1]).abs().max() < 20  # in 0..255


def test_digits_are_what_the_table_says():
    source, info = digits(DataConfig("digits"), NOWHERE, False), DATASETS["digits"]
    assert source.train.images_NCHW.shape == (info.train, info.channels, info.size, info.size)
    assert len(source.train) + len(source.test) == 1797
    values = set(source.train.images_NCHW.unique().tolist())
    assert values == {round(v * 255 / 16) for v in range(17)}  # 0..16 on 0..255
    measured = source.train.images_NCHW.double() / 255
    assert source.mean == (round(measured.mean().item(), 4),)
    assert source.std == (round(measured.std().item(), 4),)
    shares = source.test.labels_N.bincount() / torch.cat([source.train.labels_N, source.test.labels_N]).bincount()
    assert (shares - 0.2).abs().max() < 0.005


def test_digits_are_called_what_they_are():
    assert digits_splits().names == tuple("0123456789")


def test_splits_share_no_image_and_lose_none():
    source, splits = digits(DataConfig("digits"), NOWHERE, False), digits_splits()
    assert len(splits.validation) == 144  # a tenth of 1,438
    assert len(splits.train) == 1294
    assert multiset(splits.train, splits.validation) == multiset(source.train)
    shares = splits.validation.labels_N.bincount() / source.train.labels_N.bincount()
    assert (shares - 0.1).abs().max() < 0.01
    assert splits.classes == 10


def test_split_seed_moves_the_validation_split_and_never_the_test_split():
    first, again, other = digits_splits(), digits_splits(), digits_splits(split_seed=1)
    assert same(first.train, again.train)
    assert same(first.validation, again.validation)
    assert not same(first.validation, other.validation)
    assert same(first.test, other.test)


def test_train_size_takes_a_stratified_part_of_the_training_split_only():
    whole, part = digits_splits(), digits_splits(train_size=100)
    assert len(part.train) == 100
    counts = part.train.labels_N.bincount()
    assert counts.min() >= 9
    assert counts.max() <= 11
    rows = multiset(whole.train)
    assert all(row in rows for row in multiset(part.train))
    assert same(whole.validation, part.validation)


def test_label_noise_touches_training_labels_alone():
    clean, noisy = digits_splits(train_size=400), digits_splits(train_size=400, label_noise=0.3)
    assert (clean.train.labels_N != noisy.train.labels_N).sum() == 120
    assert torch.equal(clean.train.images_NCHW, noisy.train.images_NCHW)
    assert same(clean.validation, noisy.validation)
    assert same(clean.test, noisy.test)


@pytest.mark.parametrize("config", [DataConfig("digits"), DataConfig("digits", padding=2, flip=True)])
def test_the_config_knows_how_many_views_there_are(config):
    assert load(config, NOWHERE).augmentation.views == config.views


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"train_size": 1295}, r"`data.train_size` must be from 10 .* to 1294 .*, but got 1295"),
        ({"train_size": 9}, r"`data.train_size` must be from 10 \(the classes of digits\).*, but got 9"),
        ({"validation": 0.005}, r"`data.validation` 0.005 of the 1438 .* is 7, fewer than its 10 classes"),
    ],
)
def test_too_few_images(knobs, message):
    with pytest.raises(DataError, match=message):
        digits_splits(**knobs)


def test_splits_move_as_one():
    splits = digits_splits().to("meta")
    assert {part.labels_N.device.type for part in (splits.train, splits.validation, splits.test)} == {"meta"}


@pytest.mark.parametrize(("size", "share", "kept"), [(224, 0.875, 256), (64, 0.875, 74), (8, 1.0, 8), (32, 0.95, 34)])
def test_how_large_images_are_kept(size, share, kept):
    assert DataConfig("digits", size=size, crop_pct=share).kept == kept


@pytest.mark.parametrize("more", [{}, {"crop": "resized"}, {"erasing": 0.5}], ids=str)
def test_evaluation_sees_the_middle_and_training_crops_from_all(more):
    config = DataConfig("digits", size=8, crop_pct=0.5, **more)
    splits, larger = load(config, NOWHERE), load(DataConfig("digits", size=16), NOWHERE)
    assert splits.image == (1, 8, 8)
    assert splits.train.image == (1, 16, 16)
    [shown, *_] = plain_batches(splits, "test", "cpu")
    [whole, *_] = plain_batches(larger, "test", "cpu")
    assert torch.equal(shown.images_BCHW, whole.images_BCHW[:, :, 4:12, 4:12])
    [drawn, *_] = epoch_batches(splits, 64, 0, 1, "cpu")
    assert drawn.images_BCHW.shape == (64, 1, 8, 8)


def test_shifts_reach_over_the_margin():
    assert DataConfig("digits", crop_pct=0.5).views == (2 * (1 + 4) + 1) ** 2
