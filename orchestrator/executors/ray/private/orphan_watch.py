"""Ray's watch over the process that started it: `RAY_RAYLET_PID`, which its core reads while ray is imported.

A driver whose parent is gone, as after nohup and logout, is taken for a worker whose node is gone: where a job was still at
work at `ray.shutdown()`, Ray often ended this process on the spot, and what it had yet to print and write was lost. Tested with
Ray 2.60.0. A later Ray that does not read it may end such a driver again; nothing else follows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

WATCHED = "RAY_RAYLET_PID"


@contextlib.contextmanager
def watch_this_process() -> Iterator[None]:
    """Within, ray is to be imported: it will watch a process that lives, ours, and not our parent."""
    if WATCHED in os.environ:
        yield
        return
    os.environ[WATCHED] = str(os.getpid())
    try:
        yield
    finally:
        del os.environ[WATCHED]  # Ray's own processes have others to watch
