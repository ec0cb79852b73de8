"""What a result was made with: versions, machine kind and commit. Nothing that names a person or a host."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PACKAGES = ("torch", "torchvision", "numpy", "pyarrow", "ray", "safetensors")


@functools.cache
def environment() -> dict[str, str]:
    """Versions of Python and of the packages that touch results, the processor, and the git commit."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if commit := git_commit():
        found["git_commit"] = commit
    return found


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
