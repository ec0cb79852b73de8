"""Ray, started quietly or joined, and what it has."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.ray.auth import HOW, MODE, make_token, token_at_hand, use_token
from orchestrator.experiment.spec import Share

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # Tune's thread would start a cluster of its own when ours goes down under it
    "TUNE_DISABLE_AUTO_INIT": "1",  # an init without address joined whatever cluster a shared file named
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "10",
}
WATCHED = "RAY_RAYLET_PID"
LOOPBACK = "127.0.0.1"
KNOCK_S = 10
ANSWER_S = 60
OBJECT_STORE_BYTES = 200 * 2**20  # jobs pass keys and files, not objects


def connect(address: str | None) -> None:
    """Start a private cluster, on loopback and with a token of its own, or join the one at ``address``.

    Raises:
        CannotRun: where there is no cluster at that address, or it does not accept our token.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with _as_no_orphan():
        if address:
            _knock(address)
            _agree(address)
        else:
            make_token()
        import ray  # noqa: F401 -- where Ray reads its settings
    ends = signal.getsignal(signal.SIGTERM)
    try:
        _connect(address)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ends)  # Ray's own handler prints its stack and aborts


@contextlib.contextmanager
def _as_no_orphan() -> Iterator[None]:
    """Tell Ray, while it is imported, to watch a process that lives, ours, and not our parent.

    A driver whose parent is gone, as after nohup and logout, is taken for a worker whose node is gone: where a job was still at
    work at ``ray.shutdown()``, Ray often ended this process on the spot, and what it had yet to say and write was lost.
    """
    if WATCHED in os.environ:
        yield
        return
    os.environ[WATCHED] = str(os.getpid())
    try:
        yield
    finally:
        del os.environ[WATCHED]  # Ray's own processes have others to look at


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


def _agree(address: str) -> None:
    """Use the token where the cluster asks for one, and only there: workers of a driver in another mode than its cluster die.

    It is asked before ray is imported, which fixes the mode. Where it cannot be asked, the token is used if there is one.

    Raises:
        CannotRun: where the cluster asks for a token that we have not. Ray itself would try for 20 s, and warn each second.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)  # in a job of a cluster, its address
    asks = _refuses(address)
    if asks is None:
        use_token()
        return
    os.environ[MODE] = "token" if asks else "disabled"
    if not asks:
        return
    if not token_at_hand():
        raise CannotRun(f"the cluster at {address} asks for its token: {HOW}")
    from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled

    if _refuses(address, get_auth_headers_if_auth_enabled({})):
        raise CannotRun(f"the cluster at {address} does not accept our token: {HOW}")


def _refuses(address: str, headers: Mapping[str, str] = MappingProxyType({})) -> bool | None:
    """Whether the cluster at HOST:PORT wants another token than is in the headers; None where it cannot be asked."""
    import grpc

    if not address.rpartition(":")[2].isdigit() or "://" in address:
        return None
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        try:
            ask(b"", timeout=KNOCK_S, metadata=tuple(headers.items()))
        except grpc.RpcError as error:
            return True if error.code() == grpc.StatusCode.UNAUTHENTICATED else None
    return False


def _connect(address: str | None) -> None:
    import ray
    from ray.exceptions import AuthenticationError

    logging.getLogger("ray").setLevel(logging.ERROR)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True, "namespace": "kd"}
    if address:
        try:
            ray.init(address=address, **common)
        except (AuthenticationError, ConnectionError, RuntimeError, ValueError) as error:
            raise CannotRun(f"no Ray cluster lets us in at {address}: {error}") from error
        return
    with _on_loopback():
        ray.init(
            address="local",
            include_dashboard=False,
            num_cpus=len(os.sched_getaffinity(0)),
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address=LOOPBACK,
            **common,
        )


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Let Ray have the address that it is given. It takes a routable one for loopback's, and then listens on every interface.

    Where a later Ray has no such function, there is still the token.
    """
    from ray._private import services

    name = "resolve_ip_for_localhost"
    theirs = getattr(services, name, None)
    setattr(services, name, lambda host: host)
    try:
        yield
    finally:
        if theirs:
            setattr(services, name, theirs)
        else:
            delattr(services, name)


def answer_s() -> float:
    """Seconds until a worker of a new private cluster, which ends here, has answered.

    Raises:
        CannotRun: as :func:`connect`.
        ray.exceptions.GetTimeoutError: where it has not after ANSWER_S.
    """
    began = time.monotonic()
    connect(None)
    import ray

    try:
        ray.get(ray.remote(_in_worker).remote(), timeout=ANSWER_S)
    finally:
        ray.shutdown()
    return time.monotonic() - began


def _in_worker() -> str:
    """Found by name in the worker, which so shows that it has the project."""
    return platform.python_version()


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
