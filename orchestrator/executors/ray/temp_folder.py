"""The folder of a private cluster, in which Ray keeps sockets and logs.

A socket's path has at most 107 bytes, of which Ray's own names take 64; and where several people share a machine, `/tmp/ray`
may be somebody else's. So where Ray's own choice will not do, it gets a short folder of this user.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from orchestrator.executors.executor import CannotRun

LONGEST = 107 - len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")  # bytes of the folder's own path
SHORT = ("/tmp", "/var/tmp", "/dev/shm")
REMEDY = "set RAY_TMPDIR to a folder with a short path that you can write to"


def temp_folder(places: tuple[str, ...] = SHORT) -> str | None:
    """The folder to name to Ray; None where the one that it takes by itself will do.

    Raises:
        CannotRun: where none will.
    """
    own = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp", "ray")
    if not (problem := _problem(own)):
        return None
    for place in map(Path, places):
        folder = place / f"kd-ray-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not _problem(folder / "ray"):
            return str(folder / "ray")  # which Ray opens to everybody
    raise CannotRun(f"Ray cannot keep its files in {own}, which {problem}, nor in {', '.join(places)}; {REMEDY}")


def _problem(folder: Path) -> str:
    """Why Ray's sockets cannot be in a folder, which is made where it is not there; empty where they can."""
    if len(os.fsencode(folder.absolute())) > LONGEST:
        return f"is longer than the {LONGEST} bytes that a socket leaves"
    nearest = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    return "" if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK) else "cannot be written"
