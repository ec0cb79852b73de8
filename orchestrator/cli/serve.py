"""Run MLflow's interface until the user ends it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.views.console import interruptible

if TYPE_CHECKING:
    from orchestrator.tracking.ui import Interface


PR_SET_PDEATHSIG = 1  # of Linux's prctl


def serve(interface: Interface, port: int, host: str = "127.0.0.1") -> int:
    """The exit code of the server; Ctrl-C ends it well. A server that is there already is only named.

    Raises:
        typer.BadParameter: where the port is taken.
    """
    if not interface.command:
        typer.echo(f"MLflow is at {interface.url}")
        return 0
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise typer.BadParameter(f"port {port} of {host}: {error.strerror}; try --port {port + 1}") from None
    typer.echo(f"MLflow starts, Ctrl-C ends it:  {interface.url}")
    interruptible()
    process = subprocess.Popen(interface.command, env=os.environ | interface.environment, preexec_fn=_end_with_parent)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        process.terminate()
        process.wait()


def _end_with_parent() -> None:
    """Have the kernel ask this process to end when its parent is gone, however that went; on Linux alone."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
