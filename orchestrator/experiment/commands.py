"""Command lines about an experiment, to be typed as they are."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from os import PathLike, fspath


def command(name: str, file: str | PathLike[str], sets: Sequence[str] | None, location: str | None) -> str:
    """``kd name`` about the same experiment, with the same ``--store`` and ``--set``."""
    words = ["kd", name, fspath(file)]
    words += ["--store", location] if location else []
    for change in sets or ():
        words += ["--set", change]
    return shlex.join(words)
