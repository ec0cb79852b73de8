"""How much faster networks compute with their convolutions laid out channels last, as ours are on a CPU, than as torch builds
them.

Command:  python experiments/benchmarks/layout.py
Prints:   for networks and images of several sizes the CPU time of a forward pass and of a training step (forward and backward),
          one thread, the least of eight, taken in turn; and the ratios.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kd_core.models.table import build

CASES = (
    (1, 8, 32, ("resnet8", "resnet20", "wrn_16_2")),
    (3, 16, 64, ("resnet8", "resnet20", "resnet8x4")),
    (3, 32, 64, ("resnet8x4", "resnet32x4", "wrn_40_2", "vgg8", "vgg13", "shufflenet_v2", "mobilenet_v2_x0_5")),
)
TIMES = 8


def seconds(works: list[Callable[[], object]]) -> list[float]:
    """The least CPU time of each, taken in turn after one that is not counted."""
    found = [float("inf")] * len(works)
    for repetition in range(1 + TIMES):
        for index, work in enumerate(works):
            began = time.process_time()
            work()
            if repetition:
                found[index] = min(found[index], time.process_time() - began)
    return found


def ask(network: nn.Module, images_BCHW: Tensor) -> None:
    with torch.inference_mode():
        network(images_BCHW)


def step(network: nn.Module, images_BCHW: Tensor) -> None:
    network(images_BCHW).sum().backward()


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'':30}{'forward, ms':>22}{'step, ms':>22}")
    for channels, size, batch, names in CASES:
        images_BCHW = torch.randn(batch, channels, size, size)
        for name in names:
            built = build(name, channels=channels, classes=100)
            networks = built, copy.deepcopy(built).on("cpu")
            asked = seconds([functools.partial(ask, each.eval(), images_BCHW) for each in networks])
            trained = seconds([functools.partial(step, each.train(), images_BCHW) for each in networks])
            print(f"{f'{name}, {batch} × {size}×{size}':30}{_ratio(asked)}{_ratio(trained)}", flush=True)


def _ratio(pair: list[float]) -> str:
    before, after = pair
    return f"{1000 * before:8.1f}{1000 * after:8.1f}{before / after:5.2f}×"


if __name__ == "__main__":
    main()
