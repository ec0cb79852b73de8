"""What a result was made with: versions, machine kind and commit. Nothing that names a person or a host."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

PACKAGES = ("torch", "torchvision", "numpy", "pyarrow", "ray", "safetensors")


@functools.cache
def environment() -> dict[str, str]:
    """Versions of Python and of the packages that touch results, the models of CPU and GPU, and the git commit."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    found |= {name: value for name, value in (("processor", processor()), ("gpu", gpu())) if value}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if commit := git_commit():
        found["git_commit"] = commit
    return found


def processor() -> str:
    """The model of the CPU, as its maker calls it; empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def gpu() -> str:
    """The model of the GPU that this process computes on; empty where it uses none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return ""
    return str(torch.cuda.get_device_name())


@functools.cache
def git_commit() -> str | None:
    """The commit of this code, with "+" where the work tree differs from it; None outside a checkout."""
    if commit := os.environ.get("KD_GIT_COMMIT"):
        return commit
    here = Path(__file__).resolve().parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5)
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"], cwd=here, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode:
        return None
    return head.stdout.strip() + ("+" if status.stdout.strip() else "")
