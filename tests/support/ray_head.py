"""A real Ray head on this machine, started as docker/ray-head starts it in a container."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

BIN = Path(sys.executable).parent
SMALL = ["--object-store-memory", str(100 * 2**20), "--min-worker-port", "0", "--max-worker-port", "0"]


@dataclass(frozen=True)
class Head:
    dashboard: str  # URL
    address: str  # HOST:PORT, for those who join
    folder: Path  # of all that Ray writes
    pid: int


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as held:
        taken = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]


def end(process: subprocess.Popen, seconds: float = 20) -> None:
    """End what was started in a session of its own, and all that it has started."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def environment(**changes: str) -> dict[str, str]:
    """What a process of the project needs, without any Ray settings of the one that runs the tests."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "KD_", "MLFLOW_"))}
    path = f"{BIN}{os.pathsep}{own.get('PATH', '')}"
    return own | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | changes


@contextlib.contextmanager
def ray_head(token: str, cpus: int = 2, at: int | None = None) -> Iterator[Head]:
    """A head that asks for a token, at a free port or a given one; ended, and its files removed, at the end."""
    port, dashboard, agent, client = free_ports(4)
    port = at or port
    folder = Path(tempfile.mkdtemp(prefix="kd-ray-"))  # pytest's own folders are too deep for Ray's sockets
    (folder / "token").write_text(token)
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    settings |= {"KD_PORT": str(port), "KD_DASHBOARD_PORT": str(dashboard)}
    ports = ["--dashboard-agent-listen-port", str(agent), "--ray-client-server-port", str(client)]
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(
            [ROOT / "docker/ray-head", "--num-cpus", str(cpus), "--temp-dir", str(folder / "ray"), *ports, *SMALL],
            env=environment(**settings),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 90
        while "block forever" not in (folder / "head.log").read_text():
            assert process.poll() is None, (folder / "head.log").read_text()
            assert time.monotonic() < until, "the head does not start"
            time.sleep(0.2)
        yield Head(f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{port}", folder / "ray", process.pid)
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)
