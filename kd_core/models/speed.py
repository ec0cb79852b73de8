"""How fast a network is trained on this machine, measured."""

from __future__ import annotations

import time

import torch

from kd_core.data.table import DatasetInfo
from kd_core.models.table import build

LEAST_S = 0.5  # of steps that are timed,
MOST = 20  # unless there are so many of them
PIXELS = 32 * 32 * 32  # of a batch: 32 images of CIFAR's size


def seconds_per_image(model: str, info: DatasetInfo, device: str = "cpu") -> float:
    """Seconds of one thread, or of one GPU, that a step forwards and backwards takes for each image of a small batch of noise:
    of the fastest of some steps, which other work on the machine disturbed least.

    Raises:
        ValueError: where there is no such model, or it cannot take images of that size.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = build(model, channels=info.channels, classes=info.classes).to(device).train()
        batch = max(2, min(64, PIXELS // info.size**2))
        images_BCHW = torch.randn(batch, info.channels, info.size, info.size, device=device)
        labels_B = torch.arange(batch, device=device) % info.classes

        def step() -> None:
            network.zero_grad()
            torch.nn.functional.cross_entropy(network(images_BCHW), labels_B).backward()
            if device != "cpu":
                torch.cuda.synchronize()

        step()  # the first one allocates
        taken: list[float] = []
        while len(taken) < MOST and sum(taken) < LEAST_S:
            began = time.perf_counter()
            step()
            taken.append(time.perf_counter() - began)
        return min(taken) / batch
    finally:
        torch.set_num_threads(threads)
