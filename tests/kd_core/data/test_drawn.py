"""Drawn views: what they are follows from (image, id) alone, whatever is drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kd_core.bank.fill import fill
from kd_core.bank.read import Bank
from kd_core.bank.source import Live
from kd_core.data.batches import epoch_batches
from kd_core.data.drawn import POLICIES, Drawn
from kd_core.data.load import load
from kd_core.data.table import POLICY_NAMES, DataConfig
from kd_core.knowledge import Need
from kd_core.random import derive
from kd_core.recipe import Recipe
from kd_core.training.checkpoint import Checkpoints
from kd_core.training.loop import Training
from kd_core.vision import transforms
from tests.support import small

KINDS = {
    "shifted crop": {"padding": 2, "flip": True, "jitter": 0.3},
    "resized crop": {"scale": (0.2, 1.0), "flip": True},
    "erasing": {"erasing": 0.9},
    **{policy: {"policy": policy} for policy in POLICIES},
}


def images(channels=3, count=6, size=16):
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def drawn(kind, **more):
    return Drawn(size=16, seed=3, **KINDS[kind], **more)


def test_the_tables_names_are_those_of_the_policies():
    assert set(POLICY_NAMES) == {"none", *POLICIES}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_view_follows_from_the_image_and_its_id_alone(kind, channels):
    augmentation, shown = drawn(kind), images(channels)
    views, indices = torch.tensor([1, 2, 1, 7, 0, 5]), torch.tensor([10, 10, 11, 12, 13, 14])
    whole = augmentation.render(shown, views, indices)
    assert whole.dtype == torch.uint8
    assert whole.shape == shown.shape
    for row in range(len(shown)):  # alone, and in another order, too
        alone = augmentation.render(shown[row : row + 1], views[row : row + 1], indices[row : row + 1])
        assert torch.equal(alone[0], whole[row])
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    assert torch.equal(augmentation.render(shown[order], views[order], indices[order]), whole[order])
    assert torch.equal(whole[4], shown[4]), "view 0 is the image itself"
    same = shown[:1].expand(30, -1, -1, -1)
    others = augmentation.render(same, torch.arange(1, 31), torch.zeros(30, dtype=torch.long))
    assert len({other.numpy().tobytes() for other in others}) > 5, "views differ"
    elsewhere = replace(augmentation, seed=4).render(same, torch.arange(1, 31), torch.zeros(30, dtype=torch.long))
    assert not torch.equal(others, elsewhere)


def test_it_is_torchvisions_transform_under_a_seed_of_its_own():
    shown = images()
    torch.manual_seed(derive(3, "view", 8, 2))
    steps = [transforms.RandomResizedCrop(16, (0.2, 1.0), antialias=True), transforms.RandomHorizontalFlip()]
    expected = transforms.Compose(steps)(shown[0])
    assert torch.equal(drawn("resized crop").render(shown[:1], torch.tensor([2]), torch.tensor([8]))[0], expected)


def one_by_one(augmentation, images_BCHW, views, indices):
    """torchvision's transforms, one after the other, of one image after the other."""
    steps = []
    if augmentation.scale is not None:
        steps.append(transforms.RandomResizedCrop(augmentation.size, augmentation.scale, augmentation.ratio, antialias=True))
    else:
        steps.append(transforms.RandomCrop(augmentation.size, augmentation.padding))
    steps += [transforms.RandomHorizontalFlip()] if augmentation.flip else []
    steps += [POLICIES[augmentation.policy]()] if augmentation.policy != "none" else []
    steps += [transforms.ColorJitter(*(augmentation.jitter,) * 3)] if augmentation.jitter else []
    steps += [transforms.RandomErasing(augmentation.erasing)] if augmentation.erasing else []
    transform, shown = transforms.Compose(steps), []
    for image, view, index in zip(images_BCHW, views, indices, strict=True):
        torch.manual_seed(derive(augmentation.seed, "view", index, view))
        shown.append(transform(image))
    return torch.stack(shown)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("margin", [0, 2])
@pytest.mark.parametrize("policy", ["none", *POLICIES])
@pytest.mark.parametrize("geometry", ["shifted", "resized"])
def test_many_at_once_are_to_the_bit_what_torchvision_makes_of_each(geometry, policy, margin, channels):
    crop = {"scale": (0.2, 1.0)} if geometry == "resized" else {"padding": 2}
    augmentation = Drawn(16, 3, margin=margin, flip=True, policy=policy, jitter=0.4, erasing=0.5, **crop)
    some, indices = images(channels, count=96, size=16 + 2 * margin), torch.arange(96) // 3
    expected = one_by_one(augmentation, some, range(1, 97), indices.tolist())
    assert torch.equal(augmentation.render(some, torch.arange(1, 97), indices), expected)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    drawn("randaugment").render(images(), torch.arange(6), torch.arange(6))
    assert torch.equal(torch.get_rng_state(), before)


def test_epochs_have_views_of_their_own_or_some_of_a_number():
    endless, few = drawn("resized crop"), drawn("resized crop", draws=3)
    first, second, other = endless.draw(0, 0, 5), endless.draw(0, 1, 5), endless.draw(1, 0, 5)
    assert len({first[0].item(), second[0].item(), other[0].item()}) == 3
    assert (first > 0).all()
    assert torch.equal(first, endless.draw(0, 0, 5))
    seen = torch.cat([few.draw(0, epoch, 50) for epoch in range(4)])
    assert set(seen.tolist()) == {1, 2, 3}
    assert few.views == 4


def splits(draws=None):
    return replace(small.splits(), augmentation=Drawn(size=8, seed=0, scale=(0.4, 1.0), flip=True, draws=draws))


class Half:
    """The second of two workers."""

    size, rank = 2, 1

    def part(self, span):
        return slice((span.start + span.stop) // 2, span.stop)


def test_a_worker_of_several_sees_its_part_as_one_alone_does():
    for one, part in zip(
        epoch_batches(splits(), 16, 0, 0, "cpu"), epoch_batches(splits(), 16, 0, 0, "cpu", group=Half()), strict=True
    ):
        assert torch.equal(one.images_BCHW[-len(part.labels_B) :], part.images_BCHW)


class Killed(Exception):
    pass


def test_killed_it_ends_with_the_same_bits(tmp_path):
    def made():
        network = small.network()
        return Training(network, small.plain(network), (), splits(), Recipe(epochs=3, batch_size=16), seed=0)

    def kill(record):
        if record.epoch == 2:
            raise Killed

    whole = made()
    whole.run()
    with pytest.raises(Killed):
        made().run(Checkpoints(tmp_path), kill)
    again = made()
    again.run(Checkpoints(tmp_path))
    assert all(torch.equal(value, again.network.state_dict()[name]) for name, value in whole.network.state_dict().items())


def test_a_bank_holds_what_a_teacher_says_of_so_many_draws(tmp_path):
    from safetensors.torch import save_file

    teacher, some = small.network(seed=1).eval(), splits(draws=2)
    kept = fill(teacher, some, Need.LOGITS, "cpu")
    assert kept["logits"].shape[:2] == (3, len(some.train))
    save_file(kept, tmp_path / "bank.safetensors")
    live, bank = Live(teacher, "cpu"), Bank([[tmp_path / "bank.safetensors"]], "cpu", small.CLASSES)
    for batch in epoch_batches(some, 16, seed=0, epoch=1, device="cpu"):
        torch.testing.assert_close(bank(batch).logits_BK, live(batch).logits_BK, rtol=1e-3, atol=1e-6)


def test_how_many_views_there_are():
    endless = DataConfig("digits", policy="randaugment")
    assert (endless.views, replace(endless, draws=9).views) == (0, 10)


def test_the_config_says_what_is_drawn(tmp_path):
    loaded = load(DataConfig("digits", crop="resized", scale=(0.5, 1.0), erasing=0.2, draws=4), tmp_path).augmentation
    assert loaded == Drawn(size=8, seed=0, scale=(0.5, 1.0), erasing=0.2, draws=4)
    shifted = load(DataConfig("digits", jitter=0.4), tmp_path).augmentation
    assert shifted == Drawn(size=8, seed=0, padding=1, jitter=0.4)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"scale": (0.5, 1.0)}, "`scale` is for `crop` resized, but `crop` is shifted"),
        ({"crop": "resized", "scale": (0.5, 0.2)}, r"`scale` must be the least and the largest, but got \[0.5, 0.2\]"),
        ({"crop": "resized", "padding": 2}, "`padding` is for `crop` shifted, but `crop` is resized"),
        ({"draws": 3}, "`draws` is for what is drawn: `crop` resized, `policy`, `jitter` or `erasing`"),
        ({"policy": "autoaugment"}, "`policy` must be one of none, autoaugment_cifar"),
    ],
)
def test_what_does_not_go_together(knobs, said):
    with pytest.raises(ValueError, match=said):
        DataConfig("digits", **knobs)
