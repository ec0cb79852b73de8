"""All processes that descend from a test, whoever their parent is by now: by a variable that they inherit."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

NAME = "KD_TEST_MARK"


def marked() -> tuple[str, str]:
    """The variable, with a value of its own for each test."""
    return NAME, uuid.uuid4().hex


def marked_pids() -> list[int]:
    """The living processes that inherited this process's mark; itself has it in os.environ alone, not in /proc."""
    wanted = f"{NAME}={os.environ[NAME]}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
