"""What lies in a folder of images, by names and sizes alone: nothing is opened, and torch is not imported."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def listing(folder: Path) -> tuple[str, int]:
    """A digest of the names below a folder and of their files' sizes, and how many files these are. Names that begin with a dot
    are passed over, as they are where images are read.

    Raises:
        OSError: where it cannot be looked into.
    """
    found = sorted(_files(str(folder), ""))
    digest = hashlib.sha256()
    for name, size in found:
        digest.update(os.fsencode(name) + b"\0%d\0" % size)
    return digest.hexdigest(), len(found)


def _files(folder: str, above: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{above}/{entry.name}"
            if entry.is_dir():
                found += _files(entry.path, name)
            elif entry.is_file():
                found.append((name, entry.stat().st_size))
    return found
