"""Weights from elsewhere: a file that a run of ours or another project left, or what torchvision publishes."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from kd_core.models.network import Network
from kd_core.models.wrapped import Wrapped
from kd_core.models.zoo_names import own_names

LISTED = 3  # tensors of a kind that an error names
INSIDE = ("state_dict", "model", "net", "network", "model_state_dict", "model_state")  # where checkpoints keep their state dict
WRAPPERS = ("module.", "_orig_mod.", "model.", "student.", "net.")  # what those that train a network put before its names
COUNTERS = "num_batches_tracked"  # of batch normalisation; old files lack them, and nothing here reads them


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a state dict that torch saved, by itself or in a checkpoint of somebody's.

    Raises:
        ValueError: where the file is neither, or its tensors are not those of a trained network; one that holds more than
            tensors and plain values is not unpickled.
        FileNotFoundError: where there is none.
    """
    if problem := _no_weights(path):
        raise ValueError(f"{path} {problem}")
    try:
        found: Any = safetensors.torch.load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except pickle.UnpicklingError:
        raise ValueError(f"{path} is no state dict that is safe to read; save the model's `state_dict()` by itself") from None
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file makes torch stumble in many ways
        first = str(error).partition("\n")[0] or type(error).__name__
        cut = " (cut short, as by a download that did not come to its end?)" if "header" in first else ""
        raise ValueError(f"{path} cannot be read: {first}{cut}") from None
    tensors = _state_dict(found, path)
    if problems := [problem for name, tensor in tensors.items() if (problem := _unusable(name, tensor))]:
        raise ValueError(f"{path} holds what no trained network does: {_first(problems)}")
    return tensors


def _no_weights(path: Path) -> str:
    """What a file is by its first bytes, where that is known and no weights."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "is empty"
    if head.startswith(b"PK") and not zipfile.is_zipfile(path):
        return "is cut short, as by a download that did not come to its end"
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS and not the file itself; `git lfs pull` fetches that"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page: what was downloaded is not the file but a page about it, or one that asks for something"
    return ""


def _unpickled(path: Path) -> object:
    """What torch saved; of classes only those that hold plain values, as training scripts keep their options and numbers."""
    numbers = [np.dtype, np.float64, np.float32, np.int64, type(np.dtype("float64")), type(np.dtype("int64"))]
    scalar: Any = np.float64(0).__reduce__()[0]
    with torch.serialization.safe_globals([argparse.Namespace, scalar, *numbers]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _state_dict(found: object, path: Path) -> dict[str, Tensor]:
    """The state dict itself, or the only one among what a checkpoint holds under the usual names.

    Raises:
        ValueError: where there is none, or more than one.
    """
    while isinstance(found, Mapping) and not _is_state_dict(found):
        inside = [name for name in INSIDE if isinstance(found.get(name), Mapping)]
        if len(inside) > 1:
            raise ValueError(f"{path} holds several state dicts ({', '.join(inside)}); save the one that is meant by itself")
        if not inside:
            keys = _first(sorted(map(repr, found))) or "none at all"
            raise ValueError(
                f"{path} holds no state dict: names, and a tensor for each, by itself or under {', '.join(INSIDE)}; "
                f"its keys are {keys}"
            )
        found = found[inside[0]]
    if not isinstance(found, Mapping):
        raise ValueError(f"{path} holds no state dict but a {type(found).__name__}; save the model's `state_dict()`")
    return dict(found)


def _is_state_dict(found: Mapping[Any, Any]) -> bool:
    return bool(found) and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items())


def _unusable(name: str, tensor: Tensor) -> str:
    """Why a tensor is not one of a trained network; empty where it may be."""
    if tensor.is_meta:
        return f"{name} has a shape, but no values"
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return f"{name} is {'quantised' if tensor.is_quantized else 'sparse'}"
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        return f"{name} has values that are not finite"
    return ""


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


def fill(network: Network, tensors: Mapping[str, Tensor]) -> bool:
    """Load tensors into a network, by its own names, by those of the zoo that it comes from (:mod:`kd_core.models.zoo_names`)
    or, of a wrapped one, by its library's; what data parallelism, compilation, Lightning and others put before all of them is
    passed over. A head that is not there at all stays as it is: whether it was there.

    Raises:
        ValueError: naming the first few tensors that are missing, not the network's, or of another shape.
    """
    named, wanted = _by_own_names(network, tensors), network.state_dict()
    given = {own: tensors[name] for own, name in named.items()}
    headless = not any(name.startswith("head.") for name in given)
    missing = [
        name for name in wanted.keys() - given.keys() if not (headless and name.startswith("head.")) and COUNTERS not in name
    ]
    misshapen = [name for name in wanted.keys() & given.keys() if given[name].shape != wanted[name].shape]
    if "head.bias" in misshapen:
        classes, needed = given["head.bias"].numel(), len(wanted["head.bias"])
        raise ValueError(f"the weights are for {classes} classes, but there are {needed}; without their head they would do")
    shapes = [f"{named[name]} {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}" for name in sorted(misshapen)]
    types = [
        f"{named[name]} {_type(given[name])} instead of {_type(wanted[name])}"
        for name in sorted(wanted.keys() & given.keys())
        if given[name].is_floating_point() != wanted[name].is_floating_point()
    ]
    kinds = {
        "missing": sorted(missing),
        "not the network's": sorted(named[name] for name in given.keys() - wanted.keys()),
        "of another shape": shapes,
        "of another type": types,
    }
    if problems := [f"{kind}: {_first(names)}" for kind, names in kinds.items() if names]:
        raise ValueError(f"the weights do not fit the network; {'; '.join(problems)}")
    network.load_state_dict(given, strict=False)
    return not headless


def _by_own_names(network: Network, names: Iterable[str]) -> dict[str, str]:
    """The names of tensors of a file by those that the network has for them."""
    given = {name: name for name in names}
    while before := next((each for each in WRAPPERS if given and all(name.startswith(each) for name in given)), ""):
        given = {name.removeprefix(before): spelt for name, spelt in given.items()}
    own = {}
    if not isinstance(network, Wrapped):
        own = own_names(given)
    elif not any(name.startswith("body.") for name in given):
        head = f"{network.head_name}."
        own = {name: f"head.{name.removeprefix(head)}" if name.startswith(head) else f"body.{name}" for name in given}
    renamed = {own.get(name, name): spelt for name, spelt in given.items()}
    return renamed if len(renamed) == len(given) else given  # two for one place are not a file of that zoo


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _first(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:LISTED]) + (f" and {len(listed) - LISTED} more" if len(listed) > LISTED else "")
