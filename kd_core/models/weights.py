"""Weights from elsewhere: a file that a run of ours or another project left, or what torchvision publishes."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from kd_core.models.network import Network
from kd_core.models.wrapped import Wrapped

LISTED = 3  # tensors of a kind that an error names
INSIDE = ("state_dict", "model")  # where checkpoints of others keep their state dict
COUNTERS = "num_batches_tracked"  # of batch normalisation; old files lack them, and nothing here reads them


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a state dict that torch saved, by itself or in a checkpoint.

    Raises:
        ValueError: where the file is neither; one that holds more than tensors and plain values is not unpickled.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(f"{path} is no state dict that is safe to read; save the model's `state_dict()` by itself") from None
    except OSError:
        raise
    except Exception as error:  # a damaged pickle makes torch stumble in many ways
        raise ValueError(f"{path} cannot be read: {str(error).partition(chr(10))[0]}") from None
    for name in INSIDE:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path} holds no state dict: names, and a tensor for each")
    return dict(found)


def published(model: str, name: str) -> dict[str, Tensor]:
    """What torchvision publishes for ``torchvision:…`` under a name, downloaded where it is not in torch's cache.

    Raises:
        OSError: where it cannot be downloaded.
    """
    from kd_core.vision import models

    weights = models.get_model_weights(model.removeprefix("torchvision:"))[name]
    return dict(weights.get_state_dict(progress=False, check_hash=True))


def names_published(model: str) -> dict[str, int]:
    """The names of what torchvision publishes for ``torchvision:…``, and for each its classes."""
    from kd_core.vision import models

    return {
        weights.name: len(weights.meta["categories"])
        for weights in models.get_model_weights(model.removeprefix("torchvision:"))
    }


def fill(network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Load tensors into a network, by its own names or, of a wrapped one, by its library's; a ``module.`` before all of them
    is passed over. A head that is not there at all stays as it is.

    Raises:
        ValueError: naming the first few tensors that are missing, not the network's, or of another shape.
    """
    given, wanted = _renamed(network, tensors), network.state_dict()
    headless = not any(name.startswith("head.") for name in given)
    missing = [
        name for name in wanted.keys() - given.keys() if not (headless and name.startswith("head.")) and COUNTERS not in name
    ]
    misshapen = [name for name in wanted.keys() & given.keys() if given[name].shape != wanted[name].shape]
    if "head.bias" in misshapen:
        classes, needed = given["head.bias"].numel(), len(wanted["head.bias"])
        raise ValueError(f"the weights are for {classes} classes, but there are {needed}; without their head they would do")
    shapes = [f"{name} {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}" for name in sorted(misshapen)]
    kinds = {"missing": sorted(missing), "not the network's": sorted(given.keys() - wanted.keys()), "of another shape": shapes}
    if problems := [f"{kind}: {_first(names)}" for kind, names in kinds.items() if names]:
        raise ValueError(f"the weights do not fit the network; {'; '.join(problems)}")
    network.load_state_dict(given, strict=False)


def _renamed(network: Network, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    given = dict(tensors)
    if all(name.startswith("module.") for name in given):
        given = {name.removeprefix("module."): tensor for name, tensor in given.items()}
    if not isinstance(network, Wrapped) or any(name.startswith("body.") for name in given):
        return given
    head = f"{network.head_name}."
    return {
        f"head.{name.removeprefix(head)}" if name.startswith(head) else f"body.{name}": tensor for name, tensor in given.items()
    }


def _first(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:LISTED]) + (f" and {len(listed) - LISTED} more" if len(listed) > LISTED else "")
