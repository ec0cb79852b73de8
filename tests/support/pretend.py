"""A stage for tests of what surrounds a job: it needs no GPU, whatever its share, and does as its config says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

from orchestrator.jobs.kinds import KINDS, Kind

KIND = "pretend"
WORDS = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.11 GiB of which 3.06 MiB is free."


def install() -> None:
    """Make the stage known in this process, and let it pass for one that sees a GPU."""
    KINDS[KIND] = Kind(1, "tests.support.pretend", "Pretended", target=False)
    torch.cuda.is_available = lambda: True


def run(job, context):
    """``needs``: the share of a GPU below which memory runs out; ``meet``: a folder where so many must be at once."""
    runtime, config = context.runtime, job.config
    with Path(config["diary"]).open("a") as diary:
        diary.write(f"{job.title} {runtime.gpus:g} {os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
    if runtime.gpus < config.get("needs", 0):
        raise torch.OutOfMemoryError(WORDS) if config.get("typed", True) else RuntimeError(WORDS)
    if folder := config.get("meet"):
        together(Path(folder), job.title, config["all"])
    time.sleep(config.get("seconds", 0))
    return {}


def together(folder: Path, name: str, count: int, seconds: float = 250) -> None:
    """Wait until ``count`` are here."""
    folder.mkdir(exist_ok=True)
    (folder / name).touch()
    until = time.monotonic() + seconds
    while len(list(folder.iterdir())) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"only {len(list(folder.iterdir()))} of {count} came together")
        time.sleep(0.02)
