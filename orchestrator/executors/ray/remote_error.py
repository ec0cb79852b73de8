"""What Ray tells of an error in another process, in one line."""

from __future__ import annotations

import re

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
FRAME = '  File "'


def last_line(told: object) -> str:
    """What it comes to: the error that its last traceback ends in, or the cause that an account of a dead process ends with."""
    lines = [line.rstrip() for line in COLOURS.sub("", str(told)).splitlines() if line.strip()]
    frames = [number for number, line in enumerate(lines) if line.startswith(FRAME)]
    errors = [line for line in lines[frames[-1] :] if not line.startswith(" ")] if frames else lines[-1:]
    return next((line.strip() for line in errors), type(told).__name__)


def times(count: int) -> str:
    """``3 times ``; nothing of what happened once."""
    return f"{count} times " if count > 1 else ""
