"""How torch is set for a run of the GPU benchmark, and networks made for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from kd_core.models.network import Network
from kd_core.models.table import build


@dataclass(frozen=True)
class Variant:
    """A way to run a case: torch's settings and the recipe's precision."""

    name: str
    deterministic: bool = False
    tf32: bool = True
    precision: str = "fp32"
    channels_last: bool = False
    compiled: bool = False


DETERMINISTIC = Variant("deterministic", deterministic=True)  # as `kd run` has it unless the YAML says otherwise
AUTOTUNED = Variant("autotuned")
VARIANTS = (DETERMINISTIC, AUTOTUNED, Variant("bf16, channels last", precision="bf16", channels_last=True))
COMPILED = Variant("autotuned, compiled", compiled=True)


EXACT = Variant("exact", deterministic=True, tf32=False)


@contextlib.contextmanager
def torch_as(variant: Variant) -> Iterator[None]:
    """torch's process-wide settings for a variant."""
    before = (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    torch.use_deterministic_algorithms(variant.deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = not variant.deterministic
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = variant.tf32
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def network(name: str, seed: int, variant: Variant, device: str) -> Network:
    torch.manual_seed(seed)
    built = build(name, channels=3, classes=100).to(device)
    return built.to(memory_format=torch.channels_last) if variant.channels_last else built
