"""Given weights: the files that are read, the names that are understood, and what is said of those that do not fit."""

from __future__ import annotations

import pickle

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


@pytest.mark.parametrize("inside", ["", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
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
    weights.fill(network, source)
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
    with pytest.raises(ValueError, match=r"missing: .*; not the network's: bn1\.bias, .* more$"):
        weights.fill(network, models.get_model("resnet18", weights=None, num_classes=5).state_dict())
    assert same(network, before)


def test_torchvisions_names():
    assert weights.names_published("torchvision:resnet50") == {"IMAGENET1K_V1": 1000, "IMAGENET1K_V2": 1000}
