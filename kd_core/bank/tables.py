"""Where the tensors of a bank lie while a student reads them: on a GPU where there is room, else in mapped files."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

Part = Mapping[str, Tensor]  # tensors (V, N, …) of consecutive views, by name

OURS = 0.5  # of a GPU's memory, of what the process may use and of what is free: the rest is for the training


def mapped_parts(kinds: Iterable[Sequence[Path]]) -> list[Part]:
    """The parts of a bank, each with the tensors of all kinds of knowledge. Files are mapped: pages are read as they are asked
    for."""
    parts: list[dict[str, Tensor]] = []
    for files in kinds:
        parts = parts or [{} for _ in files]
        for part, file in zip(parts, files, strict=True):
            part.update(load_file(file))
    return list(parts)


def room(device: str, share: float) -> int:
    """Bytes of a device that banks may take, for a process with this share of it; on the CPU none: there they are mapped."""
    if torch.device(device).type == "cpu":
        return 0
    free, whole = torch.cuda.mem_get_info()
    return int(OURS * min(free, share * whole))


class Mapped:
    """Tensors in parts on the CPU."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = [{name: value.flatten(0, 1) for name, value in part.items()} for part in parts]
        views, self.images = zip(*(next(iter(part.values())).shape[:2] for part in parts), strict=True)
        self.begins = torch.tensor([0, *itertools.accumulate(views)])  # the first view of each part, and the end

    def rows(self, views_B: Tensor, indices_B: Tensor) -> dict[str, Tensor]:
        """The rows (B, …) of images under views."""
        if len(self.parts) == 1:
            at_B = views_B * self.images[0] + indices_B
            return {name: value.index_select(0, at_B) for name, value in self.parts[0].items()}
        part_B = torch.bucketize(views_B, self.begins, right=True) - 1
        order_B = part_B.argsort()  # part by part, each in one piece
        at_B = ((views_B - self.begins[part_B]) * self.images[0] + indices_B)[order_B]
        ends = part_B.bincount(minlength=len(self.parts)).cumsum(0).tolist()
        found = {name: value.new_empty((len(views_B), *value.shape[1:])) for name, value in self.parts[0].items()}
        for part, begin, end in zip(self.parts, [0, *ends], ends, strict=False):
            for name, value in part.items() if begin < end else ():
                torch.index_select(value, 0, at_B[begin:end], out=found[name][begin:end])
        back_B = order_B.argsort()
        return {name: value[back_B] for name, value in found.items()}


class Resident:
    """Tensors in one piece on a device, which the parts are copied to one by one."""

    def __init__(self, parts: Sequence[Part], device: str) -> None:
        self.whole = {}
        for name, first in parts[0].items():
            views = sum(len(part[name]) for part in parts)
            self.whole[name] = first.new_empty((views, *first.shape[1:]), device=device)
            begin = 0
            for part in parts:
                self.whole[name][begin : begin + len(part[name])] = part[name].to(device)
                begin += len(part[name])

    def rows(self, views_B: Tensor, indices_B: Tensor) -> dict[str, Tensor]:
        """The rows (B, …) of images under views, all on the device."""
        return {name: value[views_B, indices_B] for name, value in self.whole.items()}
