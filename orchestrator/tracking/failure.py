"""What went wrong with MLflow, in one sentence."""

from __future__ import annotations

import socket

from orchestrator.tracking.location import TrackingLocation

LONGEST = 300  # characters of a reason
UNREACHABLE = (ConnectionError, TimeoutError, socket.gaierror)


class TrackingError(RuntimeError):
    """MLflow was not written. The message says why and what to do, and holds no password."""


class Busy(TrackingError):
    """Another process writes the same experiment's runs."""


def sentence(error: BaseException, location: TrackingLocation, file: str) -> str:
    """Why MLflow does not hold everything, and the command that writes the rest."""
    if isinstance(error, Busy):
        return f"{error}; `kd track {file}` writes what is missing"
    root = _root(error)
    if isinstance(root, PermissionError | FileNotFoundError | NotADirectoryError) and root.filename:
        what = f"its artifacts cannot be written to {root.filename} ({root.strerror})"
        how = f"make that place, or name another by `tracking.uri`, and give `kd track {file}`"
        return f"MLflow at {location.shown} was not written: {what}; {how}"
    reason = root.strerror or str(root) if isinstance(root, UNREACHABLE) else str(error)
    lines = location.hide(reason).strip().splitlines() or [type(error).__name__]
    how = "did not answer" if isinstance(root, UNREACHABLE) else "was not written"
    return f"MLflow at {location.shown} {how}: {lines[0][:LONGEST]}; `kd track {file}` writes what is missing"


def _root(error: BaseException) -> BaseException:
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error
