"""Several workers compute what one does: parts of batches by hand, and real process groups on gloo against one process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from kd_core.data.batches import epoch_batches, plain_batches, spans
from kd_core.distributed import Group, WorkerLost
from kd_core.models.table import build
from kd_core.recipe import Recipe
from kd_core.training.checkpoint import Checkpoints
from kd_core.training.loop import Training
from kd_core.training.sync_batchnorm import SharedBatchNorm, synchronize_batchnorm
from tests.support import small

RECIPE = Recipe(epochs=3, batch_size=16, lr=0.05)  # 50 images: the last batch has two


def parts(count, size, batch_size=16):
    return [[Group(rank, size).part(span) for span in spans(count, batch_size)] for rank in range(size)]


def test_parts_by_hand():
    assert parts(10, 3) == [[slice(0, 3)], [slice(3, 6)], [slice(6, 10)]]
    assert parts(50, 3)[1][-1] == slice(48, 50), "two images for three workers: each takes both"
    group = Group(1, 3)
    assert (group.begin(slice(0, 10)), group.copies) == (pytest.approx(3 / 10), 1)
    assert (group.begin(slice(48, 50)), group.copies) == (pytest.approx(1 / 3), 3)


@pytest.mark.parametrize("count", [1, 2, 16, 17, 50, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
def test_weights_sum_to_one_and_every_image_weighs_the_same(count, size):
    for span in spans(count, 16):
        seen = torch.zeros(count)
        for group in (Group(rank, size) for rank in range(size)):
            part = group.part(span)
            assert part.stop > part.start
            weight = group.begin(span)
            seen[part] += weight / (part.stop - part.start)
        assert torch.allclose(seen[span], torch.full((span.stop - span.start,), 1 / (span.stop - span.start)))


def test_the_parts_of_a_batch_are_the_batch():
    splits = small.splits()
    whole = list(epoch_batches(splits, 16, 0, 3, "cpu"))
    shares = [list(epoch_batches(splits, 16, 0, 3, "cpu", Group(rank, 3))) for rank in range(3)]
    for number, batch in enumerate(whole[:-1]):
        for name in ("images_BCHW", "labels_B", "indices_B", "views_B"):
            assert torch.equal(torch.cat([getattr(share[number], name) for share in shares]), getattr(batch, name))


def test_evaluation_falls_to_each_worker_in_turn():
    splits = small.splits()
    seen = [[b.indices_B for b in plain_batches(splits, "test", "cpu", 8, Group(rank, 3))] for rank in range(3)]
    assert [len(own) for own in seen] == [2, 1, 1]  # 30 images in batches of 8
    assert sorted(torch.cat([torch.cat(own) for own in seen]).tolist()) == list(range(30))


def test_a_worker_alone_shares_nothing():
    network = small.network()
    synchronize_batchnorm(network, Group())
    assert not any(isinstance(module, SharedBatchNorm) for module in network.modules())


class Odd(nn.BatchNorm2d):
    """A kind that has a forward pass of its own."""


def test_a_normalisation_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"cannot share the statistics of Odd \(1\); set workers: 1"):
        synchronize_batchnorm(nn.Sequential(nn.Identity(), Odd(3)), Group(0, 2))


def test_shared_it_keeps_its_parameters_and_the_names_of_its_state():
    network = small.network()
    before, state = list(network.parameters()), network.state_dict()
    synchronize_batchnorm(network, Group(0, 2))
    assert all(one is other for one, other in zip(network.parameters(), before, strict=True))
    assert network.state_dict().keys() == state.keys()
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(network.eval()(images), small.network().eval()(images))


def join(rank: int, size: int, folder: str) -> Group:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    return Group.here()


def within(rank: int, function, size: int, folder: str, *more) -> None:
    function(rank, size, folder, *more)
    torch.distributed.destroy_process_group()  # gloo's threads would abort a process that just ends


def spawn(function, size: int, folder: Path, *more) -> None:
    torch.multiprocessing.spawn(within, (function, size, str(folder), *more), size)


def share_batch_norms(rank: int, size: int, folder: str) -> None:
    group = join(rank, size, folder)
    given = torch.load(f"{folder}/given", weights_only=False)
    span = slice(0, len(given["x"]))
    group.begin(span)
    part = group.part(span)
    found = []
    for plain in given["layers"]:
        layer = SharedBatchNorm(plain, group)
        x = given["x"][part].clone().requires_grad_()
        (layer(x) * given["toward"][part]).sum().backward()
        group.sum([layer.weight.grad, layer.bias.grad])
        found.append({"x": x.grad, "weight": layer.weight.grad, "bias": layer.bias.grad, **layer.state_dict(prefix="state.")})
    torch.save(found, f"{folder}/found{rank}")


def test_shared_batch_norm_is_that_of_the_whole_batch(tmp_path):
    """Values, gradients and running statistics, with parts of unequal size (7 = 3 + 4) and a mean far from zero."""
    torch.manual_seed(0)
    layers = [nn.BatchNorm2d(3, momentum=momentum) for momentum in (0.1, None)]
    for layer in layers:
        nn.init.normal_(layer.weight)
    x, toward = torch.randn(7, 3, 4, 4) * 2 + 30, torch.randn(7, 3, 4, 4)
    torch.save({"layers": layers, "x": x, "toward": toward}, tmp_path / "given")
    spawn(share_batch_norms, 2, tmp_path)
    found = [torch.load(tmp_path / f"found{rank}") for rank in range(2)]
    for number, layer in enumerate(layers):
        expected = x.clone().requires_grad_()
        (layer(expected) * toward).sum().backward()
        assert torch.allclose(torch.cat([each[number]["x"] for each in found]), expected.grad, atol=1e-5)
        for each in found:
            assert torch.allclose(each[number]["weight"], layer.weight.grad, atol=1e-4)
            assert torch.allclose(each[number]["bias"], layer.bias.grad, atol=1e-5)
            for name, value in layer.state_dict().items():
                assert torch.allclose(each[number][f"state.{name}"], value, atol=1e-5), name


def a_training(group: Group, recipe: Recipe = RECIPE) -> Training:
    network = small.network()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # its masks are drawn for each worker
    return Training(network, small.plain(network), (), small.splits(), recipe, seed=0, group=group)


def train(rank: int, size: int, folder: str, stop: int | None = None) -> None:
    training = a_training(join(rank, size, folder))

    def on_epoch(record):
        if rank == 1 and record.epoch == stop:
            os._exit(9)  # as a killed worker goes

    try:
        trained = training.run(Checkpoints(Path(folder) / "work"), on_epoch)
    except WorkerLost:
        Path(folder, f"parted{rank}").touch()
        return
    torch.save((trained.history[-1].metrics, training.network.state_dict()), f"{folder}/trained{rank}")


def trained_by(size: int, folder: Path):
    folder.mkdir(exist_ok=True)
    spawn(train, size, folder)
    return [torch.load(folder / f"trained{rank}") for rank in range(size)]


def close(found, expected, within=1e-4):
    metrics, state = found
    for name, value in expected[0].items():
        assert metrics[name] == pytest.approx(value, abs=within), name
    for name, value in expected[1].items():
        assert torch.allclose(state[name].double(), value.double(), atol=within), name


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_workers_train_what_one_trains(tmp_path, size):
    """Up to the order of sums, whatever the sizes of the parts; the last batch has two images, fewer than three workers."""
    alone = a_training(Group())
    expected = (alone.run().history[-1].metrics, alone.network.state_dict())
    found = trained_by(size, tmp_path)
    for each in found:
        close(each, expected)
        assert each[0] == found[0][0], "the same bits on all"
        assert all(torch.equal(each[1][name], value) for name, value in found[0][1].items())
    assert len(list((tmp_path / "work").glob("*.safetensors"))) == 2, "the first one alone writes"


@pytest.mark.slow
def test_a_worker_that_dies_parts_the_group_and_it_goes_on_from_the_checkpoint(tmp_path):
    expected = trained_by(2, tmp_path / "whole")
    folder = tmp_path / "killed"
    folder.mkdir()
    with pytest.raises(torch.multiprocessing.ProcessExitedException):
        spawn(train, 2, folder, 1)
    assert len(Checkpoints(folder / "work").newest().history) in (1, 2)
    (folder / "meet").unlink(missing_ok=True)
    found = trained_by(2, folder)
    for one, other in zip(found, expected, strict=True):
        assert one[0] == other[0]
        assert all(torch.equal(one[1][name], value) for name, value in other[1].items())


def different_checkpoints(rank: int, size: int, folder: str) -> None:
    group = join(rank, size, folder)
    own = Path(folder) / f"work{rank}"
    recipe = Recipe(epochs=1 + rank, batch_size=16, lr=0.05)
    a_training(Group(), recipe).run(Checkpoints(own))
    try:
        a_training(group).run(Checkpoints(own))
    except WorkerLost as error:
        Path(folder, f"said{rank}").write_text(str(error))


@pytest.mark.slow
def test_workers_that_find_different_checkpoints_part(tmp_path):
    spawn(different_checkpoints, 2, tmp_path)
    assert (tmp_path / "said1").read_text() == "this worker found a checkpoint of 2 epochs, the first one of 1"
    assert (tmp_path / "said0").exists(), "nobody waits for ever"


@pytest.mark.parametrize("name", ["wrn_16_1", "mobilenet_v2_x0_5", "vgg8", "shufflenet_v1"])
def test_every_family_s_normalisations_can_be_shared(name):
    network = build(name, channels=3, classes=10)
    count = sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    synchronize_batchnorm(network, Group(0, 2))
    assert sum(isinstance(module, SharedBatchNorm) for module in network.modules()) == count > 0
