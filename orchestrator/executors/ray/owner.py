"""Whose cluster ``auto`` would join: Ray takes the address that a file which everybody can write names, whoever wrote it.

A driver unpickles what its cluster sends, so to join a stranger's would be to run a stranger's code.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from orchestrator.executors.executor import CannotRun

FILE = "ray_current_cluster"  # in Ray's own folder


def require_own_cluster() -> None:
    """See that the cluster that ``auto`` finds was started by this user or by root. Where ``RAY_ADDRESS`` names one, as in a
    job of a cluster, that is asked for by name.

    Raises:
        CannotRun: where somebody else started it.
    """
    if os.environ.get("RAY_ADDRESS"):
        return
    folder = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp", "ray")
    try:
        owner = (folder / FILE).lstat().st_uid
    except OSError:
        return  # Ray looks for processes; where there are none, it says so
    if owner not in (os.getuid(), 0):
        raise CannotRun(
            f"auto would join the Ray cluster that {_name(owner)} started ({folder / FILE}), who could run code as you; "
            "if that is meant, give --address HOST:PORT"
        )


def _name(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"
