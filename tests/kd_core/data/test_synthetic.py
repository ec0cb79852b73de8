from itertools import combinations
from pathlib import Path

import pytest
import torch

from kd_core.data.synthetic import MEAN, SHARE, STD, World, synthetic
from kd_core.data.table import DataConfig

NOWHERE = Path("/nonexistent")


def made(**knobs):
    small = {"classes": 10, "train_images": 40, "test_images": 20} | knobs
    return synthetic(DataConfig("synthetic", **small).resolved(), NOWHERE, False)


def same(a, b):
    return torch.equal(a.images_NCHW, b.images_NCHW) and torch.equal(a.labels_N, b.labels_N)


def test_images_are_a_function_of_the_knobs_alone():
    first = made()
    torch.manual_seed(99)
    assert same(made().train, first.train)
    assert same(made().test, first.test)
    assert not torch.equal(made(generator_seed=1).train.images_NCHW, first.train.images_NCHW)
    assert not torch.equal(made(difficulty=0.6).train.images_NCHW, first.train.images_NCHW)


def test_fewer_images_are_the_first_of_many():
    many, few = made(train_images=SHARE + 30, test_images=1), made(train_images=SHARE + 10, test_images=30)
    assert same(few.train, many.train[torch.arange(SHARE + 10)])
    assert same(many.test, few.test[torch.arange(1)])


def test_no_image_comes_twice():
    source = made(train_images=SHARE + 100, test_images=200)
    images = torch.cat([source.train.images_NCHW, source.test.images_NCHW]).flatten(1)
    assert len(images.unique(dim=0)) == SHARE + 300


def test_classes_take_turns():
    source = made(classes=7, train_images=30)
    assert source.train.labels_N.bincount().tolist() == [5, 5, 4, 4, 4, 4, 4]
    assert source.train.images_NCHW.shape == (30, 3, 32, 32)


@pytest.mark.parametrize(("classes", "values"), [(2, 2), (8, 2), (9, 3), (100, 5), (125, 5), (1000, 10)])
def test_no_two_attributes_tell_a_class_and_any_three_do(classes, values):
    world = World.of(classes, seed=0)
    words = world.words_K4.tolist()
    assert world.values == values  # the least q with q³ ≥ classes
    assert {value for word in words for value in word} <= set(range(values))
    for three in combinations(range(4), 3):
        assert len({tuple(word[place] for place in three) for word in words}) == classes
    if classes > values**2:
        assert all(len({(word[a], word[b]) for word in words}) < classes for a, b in combinations(range(4), 2))
    assert len(world.amplitude_V4) == len(world.wave_V32) == values


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_pixels_are_about_normalised_and_seldom_saturated(difficulty):
    images = made(difficulty=difficulty, train_images=SHARE).train.images_NCHW
    for channel in range(3):
        values = images[:, channel].double() / 255
        assert values.mean().item() == pytest.approx(MEAN[channel], abs=0.02)
        assert values.std().item() == pytest.approx(STD[channel], abs=0.03)
    assert ((images == 0) | (images == 255)).double().mean() < 0.01


def test_difficulty_drives_images_of_a_class_apart_from_their_own_scene():
    """Another difficulty shows the same scenes, less and less alike."""
    easy = made(difficulty=0.0, train_images=100).train.images_NCHW.double()

    def apart(difficulty):
        return (made(difficulty=difficulty, train_images=100).train.images_NCHW.double() - easy).square().mean()

    distances = [apart(difficulty) for difficulty in (0.25, 0.5, 0.75, 1.0)]
    assert distances == sorted(distances)
    shuffled = (easy - easy.roll(1, 0)).square().mean()
    assert distances[0] < shuffled / 3


@pytest.mark.parametrize("difficulty", [0.25, 0.5])
def test_the_mean_image_of_a_class_says_next_to_nothing_of_it(difficulty):
    """Nearest class mean: 10 % by chance; of 500 images a binomial deviation is 1.3 points."""
    source = made(difficulty=difficulty, train_images=1000, test_images=500)
    train, test = (split.images_NCHW.flatten(1).double() for split in (source.train, source.test))
    means = torch.stack([train[source.train.labels_N == label].mean(0) for label in range(10)])
    predicted = torch.cdist(test, means).argmin(1)
    assert (predicted == source.test.labels_N).double().mean() < 0.25


def test_pixels_that_must_not_change_unnoticed():
    """Stored results are named by the knobs, so a change of the generator has to raise the versions of the stages."""
    images = made().train.images_NCHW
    found = [images[index, channel, 16, 16].item() for index, channel in ((0, 0), (0, 2), (7, 1), (39, 0))]
    assert found == pytest.approx([137, 204, 54, 143], abs=2)  # another processor may round otherwise
