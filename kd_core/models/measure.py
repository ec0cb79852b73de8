"""What a network costs, counted on it as it is built; :mod:`kd_core.models.cost` knows it roughly without building one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

LEAST_RUNS = 5


def multiplications(network: nn.Module, images_BCHW: Tensor) -> int:
    """Multiply-accumulates of the convolutions and linear layers in a forward pass of a batch."""
    was_training = network.training
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(images_BCHW)
    network.train(was_training)
    return int(counter.get_total_flops()) // 2  # a multiplication and an addition each


def latency(run: Callable[[Tensor], object], images_BCHW: Tensor, seconds: float = 0.5) -> float:
    """Median seconds of a call, over the calls that fit into some seconds, five at least, behind one that warms up."""

    def timed() -> float:
        start = time.perf_counter()
        run(images_BCHW)
        if images_BCHW.is_cuda:
            torch.cuda.synchronize(images_BCHW.device)
        return time.perf_counter() - start

    with torch.inference_mode():
        end = time.perf_counter() + seconds + timed()
        measured: list[float] = []
        while len(measured) < LEAST_RUNS or time.perf_counter() < end:
            measured.append(timed())
    return statistics.median(measured)
