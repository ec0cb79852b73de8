"""Given weights: the files that are read, the names that are understood, and what is said of those that do not fit."""

from __future__ import annotations

import argparse
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch

from kd_core.models import weights
from kd_core.models.from_torchvision import OPTIONS
from kd_core.models.table import build
from kd_core.vision import models


def ours(seed: int = 0, classes: int = 5):
    torch.manual_seed(seed)
    return build("resnet8", channels=3, classes=classes)


def same(network, tensors):
    return all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("inside", ["", *weights.INSIDE])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "module.student.", "net."])
def test_files(tmp_path, inside, prefix):
    source = ours(1).state_dict()
    tensors = {prefix + name: tensor for name, tensor in source.items()}
    file = tmp_path / "x.pth"
    torch.save({inside: tensors, "epoch": 3} if inside else tensors, file)
    network = ours()
    weights.fill(network, weights.read(file))
    assert same(network, source)
    safetensors.torch.save_file(tensors, tmp_path / "x.safetensors")
    other = ours()
    weights.fill(other, weights.read(tmp_path / "x.safetensors"))
    assert same(other, source)


def test_what_training_scripts_keep_beside_the_tensors_is_no_hindrance(tmp_path):
    source = ours(1).state_dict()
    beside = {"opt": argparse.Namespace(lr=0.1, model="resnet8"), "best_acc": np.float64(0.7), "epoch": np.int64(240)}
    torch.save({"net": source, "optimizer": {"state": {}, "lr": 0.1}, **beside}, tmp_path / "x.pth")
    network = ours()
    assert weights.fill(network, weights.read(tmp_path / "x.pth"))
    assert same(network, source)


def test_a_state_dict_that_is_not_the_only_one_or_not_there(tmp_path):
    source = ours(1).state_dict()
    torch.save({"model": source, "state_dict": source}, tmp_path / "two.pth")
    with pytest.raises(ValueError, match=r"two\.pth holds several state dicts \(state_dict, model\)"):
        weights.read(tmp_path / "two.pth")
    torch.save({"generator": source, "epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"by itself or under state_dict, .*; its keys are 'epoch', 'generator'$"):
        weights.read(tmp_path / "other.pth")
    torch.save({0: torch.zeros(1)}, tmp_path / "numbered.pth")
    with pytest.raises(ValueError, match=r"its keys are 0$"):
        weights.read(tmp_path / "numbered.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds no state dict but a list"):
        weights.read(tmp_path / "list.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty$"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "is a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "is a web page"),
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "pt", "safetensors"])
def test_what_was_downloaded_instead_of_weights_is_said(tmp_path, content, said, suffix):
    file = tmp_path / f"x.{suffix}"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        weights.read(file)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_named(tmp_path, suffix, part):
    file = tmp_path / f"x.{suffix}"
    torch.save(ours().state_dict(), file) if suffix == "pth" else safetensors.torch.save_file(ours().state_dict(), file)
    file.write_bytes(file.read_bytes()[: int(part * file.stat().st_size)])
    with pytest.raises(ValueError, match=rf"x\.{suffix} .*cut short"):
        weights.read(file)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.zeros(5, device="meta"), "head.bias has a shape, but no values"),
        (torch.zeros(5).to_sparse(), "head.bias is sparse"),
        (torch.full((5,), float("nan")), "head.bias has values that are not finite"),
        (torch.full((5,), float("inf")), "head.bias has values that are not finite"),
    ],
    ids=["meta", "sparse", "nan", "inf"],
)
def test_tensors_of_no_trained_network(tmp_path, tensor, said):
    torch.save(ours().state_dict() | {"head.bias": tensor}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=said):
        weights.read(tmp_path / "x.pth")


def test_integers_in_the_place_of_weights():
    with pytest.raises(ValueError, match=r"of another type: head\.bias int8 instead of float32$"):
        weights.fill(ours(), ours(1).state_dict() | {"head.bias": torch.zeros(5, dtype=torch.int8)})


class Code:
    def __reduce__(self):
        return print, ("run",)


def test_files_that_are_none(tmp_path, capsys):
    torch.save({"a": Code()}, tmp_path / "code.pt")
    with pytest.raises(ValueError, match="is no state dict that is safe to read"):
        weights.read(tmp_path / "code.pt")
    assert "run" not in capsys.readouterr().out
    torch.save({"epoch": 3}, tmp_path / "numbers.pt")
    with pytest.raises(ValueError, match="holds no state dict"):
        weights.read(tmp_path / "numbers.pt")
    (tmp_path / "text.pt").write_bytes(pickle.dumps("text", protocol=2)[:-2])
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("text")
    for name in ("text.pt", "empty.pt", "text.safetensors"):
        with pytest.raises(ValueError, match=name):
            weights.read(tmp_path / name)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_wrapped_network_takes_its_librarys_names_and_ours(name):
    torch.manual_seed(1)
    original = models.get_model(name, weights=None, num_classes=5, **OPTIONS.get(name, {})).eval()
    network = build(f"torchvision:{name}", channels=3, classes=5).eval()
    weights.fill(network, original.state_dict())
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network(images), original(images))
    again = build(f"torchvision:{name}", channels=3, classes=5)
    weights.fill(again, network.state_dict())
    assert same(again, network.state_dict())


def test_half_precision_is_widened_and_counters_may_be_absent():
    source = {name: tensor.half() for name, tensor in ours(1).state_dict().items() if "num_batches" not in name}
    network = ours()
    weights.fill(network, source)
    assert network.head.weight.dtype == torch.float32
    assert torch.equal(network.head.weight, source["head.weight"].float())


def test_without_a_head_the_own_stays():
    source = {name: tensor for name, tensor in ours(1, classes=7).state_dict().items() if not name.startswith("head.")}
    network, before = ours(), ours().head.weight
    assert not weights.fill(network, source)
    assert torch.equal(network.head.weight, before)
    assert same(network, {**source, **{f"head.{name}": tensor for name, tensor in network.head.state_dict().items()}})


def test_what_does_not_fit():
    source = ours(1).state_dict()
    network, before = ours(), ours().state_dict()
    with pytest.raises(ValueError, match=r"^the weights are for 7 classes, but there are 5"):
        weights.fill(network, ours(1, classes=7).state_dict())
    some = {name: tensor for name, tensor in source.items() if not name.startswith(("stem", "stages.0"))}
    with pytest.raises(ValueError, match=r"missing: stages\.0\S+, stages\.0\S+, stages\.0\S+ and \d+ more$"):
        weights.fill(network, some)
    with pytest.raises(ValueError, match=r"network; not the network's: extra$"):
        weights.fill(network, source | {"extra": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"network; of another shape: head\.weight \(5, 3\) instead of \(5, 64\)$"):
        weights.fill(network, source | {"head.weight": torch.zeros(5, 3)})
    with pytest.raises(ValueError, match=r"not the network's: layer1\.1\.bn1\.bias, .*; of another shape: fc\.weight"):
        weights.fill(network, models.get_model("resnet18", weights=None, num_classes=5).state_dict())
    assert same(network, before)


def test_torchvisions_names():
    assert weights.names_published("torchvision:resnet50") == {"IMAGENET1K_V1": 1000, "IMAGENET1K_V2": 1000}
