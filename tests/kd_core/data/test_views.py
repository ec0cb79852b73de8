import pytest
import torch

from kd_core.data.views import IDENTITY, Augmentation, normalise

AUGMENTATIONS = [
    Augmentation(padding, flip, margin)
    for padding, margin in ((0, 0), (1, 0), (4, 0), (0, 1), (3, 2))
    for flip in (False, True)
]


def naive(image_CHW, dy, dx, flip, padding, margin):
    """Padding, crop and flip by slices."""
    channels, height, width = image_CHW.shape
    canvas = torch.zeros(channels, height + 2 * padding, width + 2 * padding, dtype=torch.uint8)
    canvas[:, padding : padding + height, padding : padding + width] = image_CHW
    top, left = padding + margin + dy, padding + margin + dx
    crop = canvas[:, top : top + height - 2 * margin, left : left + width - 2 * margin]
    return crop.flip(2) if flip else crop


def test_two_shifts_by_hand():
    image = torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8)
    augmentation = Augmentation(padding=1, flip=True)
    down = torch.tensor([augmentation.view(dy=1, dx=0)])
    assert augmentation.render(image, down).tolist() == [[[[3, 4], [0, 0]]]]
    # one to the right gives [[2, 0], [4, 0]], mirrored after that
    right_flipped = torch.tensor([augmentation.view(dy=0, dx=1, flip=True)])
    assert augmentation.render(image, right_flipped).tolist() == [[[[0, 2], [0, 4]]]]


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=str)
def test_ids_and_their_parts_are_one_to_one(augmentation):
    ids = torch.arange(augmentation.views)
    parts = list(zip(*(part.tolist() for part in augmentation.parts(ids)), strict=True))
    assert len(set(parts)) == augmentation.views == len(ids)
    assert [augmentation.view(*part) for part in parts] == ids.tolist()
    reach = set(range(-augmentation.reach, augmentation.reach + 1))
    assert {dy for dy, _, _ in parts} == {dx for _, dx, _ in parts} == reach
    assert {flip for _, _, flip in parts} == ({False, True} if augmentation.flip else {False})
    assert parts[IDENTITY] == (0, 0, False)


def test_the_usual_cifar_augmentation_has_162_views():
    assert Augmentation(padding=4, flip=True).views == 162


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=str)
def test_every_view_is_what_slicing_gives(augmentation):
    ids = torch.arange(augmentation.views)
    images = torch.randint(1, 256, (len(ids), 3, 5, 6), dtype=torch.uint8)
    rendered = augmentation.render(images, ids)
    for image, view, *part in zip(images, rendered, *augmentation.parts(ids), strict=True):
        dy, dx, flip = (value.item() for value in part)
        padding, margin = augmentation.padding, augmentation.margin
        assert torch.equal(view, naive(image, dy, dx, flip, padding, margin)), (dy, dx, flip)
    assert torch.equal(rendered[IDENTITY], images[IDENTITY, :, margin : 5 - margin, margin : 6 - margin])


def test_views_are_a_function_of_seed_epoch_and_index():
    augmentation = Augmentation(padding=4, flip=True)
    drawn = augmentation.draw(seed=3, epoch=5, n=1000)
    torch.rand(7)
    assert torch.equal(augmentation.draw(seed=3, epoch=5, n=1000), drawn)
    assert torch.equal(augmentation.draw(seed=3, epoch=5, n=10), drawn[:10])
    assert not torch.equal(augmentation.draw(seed=3, epoch=6, n=1000), drawn)
    assert not torch.equal(augmentation.draw(seed=4, epoch=5, n=1000), drawn)


def test_views_are_drawn_uniformly():
    augmentation = Augmentation(padding=4, flip=True)
    counts = augmentation.draw(seed=0, epoch=0, n=162 * 400).bincount(minlength=162)
    assert len(counts) == 162
    # χ² of 161 degrees of freedom: mean 161, deviation √322 ≈ 18; five deviations to either side
    assert 71 < ((counts - 400) ** 2 / 400).sum().item() < 251


def test_normalised_values_by_hand():
    images = torch.tensor([[[[255]], [[51]]]], dtype=torch.uint8)
    got = normalise(images, torch.tensor([0.5, 0.1]), torch.tensor([0.25, 0.05]))
    # (1 − 0.5)/0.25 = 2 and (0.2 − 0.1)/0.05 = 2
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, torch.tensor([[[[2.0]], [[2.0]]]]))
    assert images.flatten().tolist() == [255, 51]
