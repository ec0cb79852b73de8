"""Seeds by purpose: every random choice is a pure function of (seed, purpose, epoch, index).

No generator state is ever saved: what is drawn for an epoch is drawn from a fresh generator that is named by what it is for.
So a training that was stopped and resumed sees the same numbers, and a new consumer of randomness shifts no other.
"""

from __future__ import annotations

import hashlib
import json

from kd_core.lazy import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2⁶³) for one purpose: the head of SHA-256 of the parts, the same in every process and version."""
    digest = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one purpose, seeded by :func:`derive`.

    What must not depend on the device (order, views, splits) is drawn on the CPU and moved.
    """
    return torch.Generator(device).manual_seed(derive(seed, *purpose))
