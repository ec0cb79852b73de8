"""What a job uses of its machine, measured at every epoch's end: curves under ``system/``, which MLflow shows on a page
of their own (*System metrics*). Nothing that is learnt hangs on them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")  # of Linux
MEGABYTE = 1e6


class Usage:
    """Since the last call, or since it was made."""

    def __init__(self, device: str) -> None:
        self._gpu = device != "cpu"
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def __call__(self) -> dict[str, float]:
        """Cores in use on the average, memory in MB, and of a GPU its memory and, where NVIDIA's library is installed, its load
        in percent, both as they are at this moment."""
        wall, cpu = time.monotonic(), time.process_time()
        found = {"system/cpu_cores": (cpu - self._cpu) / max(wall - self._wall, 1e-9)}
        self._wall, self._cpu = wall, cpu
        with contextlib.suppress(OSError):
            [line] = [line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS:")]
            found["system/memory_megabytes"] = int(line.split()[1]) * 1024 / MEGABYTE
        if self._gpu:
            found["system/gpu_memory_megabytes"] = torch.cuda.memory_reserved() / MEGABYTE
            with contextlib.suppress(ImportError, RuntimeError):
                found["system/gpu_utilization_percentage"] = float(torch.cuda.utilization())
        return found
