"""Ray, started quietly or joined, and what it has."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from typing import Any

from orchestrator.executors.executor import CannotRun
from orchestrator.spec.spec import Share

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # of the private, loopback cluster; init() would otherwise leave a token file at home
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # Tune's thread would start a cluster of its own when ours goes down under it
    "TUNE_DISABLE_AUTO_INIT": "1",  # an init without address joined whatever cluster a shared file named
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "10",
}
KNOCK_S = 10
OBJECT_STORE_BYTES = 200 * 2**20  # jobs pass keys and files, not objects


def connect(address: str | None) -> None:
    """Start a private cluster on loopback, or join the one at ``address``.

    Raises:
        CannotRun: where there is no cluster at that address.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ends = signal.getsignal(signal.SIGTERM)
    try:
        _connect(address)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ends)  # Ray's own handler prints its stack and aborts


def _knock(address: str) -> None:
    """Ray itself waits minutes for a cluster that is not there.

    Raises:
        CannotRun: where nothing listens at HOST:PORT or ray://HOST:PORT.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return  # a name that Ray resolves, such as auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        raise CannotRun(f"no Ray cluster answers at {address}: {error.strerror or error}") from error


def _connect(address: str | None) -> None:
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True, "namespace": "kd"}
    if address:
        _knock(address)
        try:
            ray.init(address=address, **common)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise CannotRun(f"no Ray cluster answers at {address}: {error}") from error
        return
    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=len(os.sched_getaffinity(0)),
        object_store_memory=OBJECT_STORE_BYTES,
        _node_ip_address="127.0.0.1",
        **common,
    )


def slots(share: Share) -> int:
    """How many jobs of that share fit onto the living nodes at once."""
    import ray

    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            fits = [int(has.get(name, 0) / asked + 1e-9) for name, asked in (("CPU", share.cpus), ("GPU", share.gpus)) if asked]
            total += min(fits, default=0)
    return total


def require(name: str, share: Share) -> int:
    """The slots for a share, at least one.

    Raises:
        CannotRun: where no node has as much; a request for it would wait for ever.
    """
    if found := slots(share):
        return found
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has = "; ".join(f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes)
    raise CannotRun(
        f"resources.{name} asks for {share.cpus:g} CPU and {share.gpus:g} GPU, but no node has as much (nodes: {has})"
    )
