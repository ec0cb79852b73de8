"""Ray, started quietly or joined, and what it has."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.token import HOW, make_token, use_token
from orchestrator.files.files import StoreError
from orchestrator.files.place import files_at
from orchestrator.spec.spec import Share
from orchestrator.store import Store

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
LOOPBACK = "127.0.0.1"
KNOCK_S = 10
SEEN_S = 60  # for a node to say whether it sees the store
OBJECT_STORE_BYTES = 200 * 2**20  # jobs pass keys and files, not objects


def connect(address: str | None) -> None:
    """Start a private cluster, on loopback and with a token of its own, or join the one at ``address``.

    Raises:
        CannotRun: where there is no cluster at that address, or it does not accept our token.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address:
        use_token()
    else:
        make_token()
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


def _show_token(address: str) -> None:
    """Ray itself tries a token that is refused for 20 s, and warns each second.

    Raises:
        CannotRun: where the cluster at HOST:PORT says that it does not accept ours. Whatever else it says is left to Ray.
    """
    import grpc
    from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled

    if not address.rpartition(":")[2].isdigit() or "://" in address:
        return
    ours = tuple(get_auth_headers_if_auth_enabled({}).items())
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")(b"", timeout=KNOCK_S, metadata=ours)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                asked = "does not accept our token" if ours else "asks for its token"
                raise CannotRun(f"the cluster at {address} {asked}: {HOW}") from None


def _connect(address: str | None) -> None:
    import ray
    from ray.exceptions import AuthenticationError

    logging.getLogger("ray").setLevel(logging.ERROR)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True, "namespace": "kd"}
    if address:
        _knock(address)
        _show_token(address)
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


def require_seen(store: Store) -> None:
    """Ask every node for a file that is put into the store: one that sees another store would only use up its jobs' retries.

    Raises:
        CannotRun: naming each node that does not see it, and why.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(nodes) == 1:
        return
    name = f"seen-{uuid.uuid4().hex[:8]}"
    store.files.write(name, b"")
    try:
        ask = ray.remote(num_cpus=0, max_retries=0)(blind)
        asked = {
            address: ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(store.place, name)
            for node, address in nodes.items()
        }
        problems = [f"{address}: {problem}" for address, answer in asked.items() if (problem := _answer(answer))]
    finally:
        store.files.remove(name)
    if problems:
        raise CannotRun(f"not all nodes see the store {store.place}, which must be the same for all ({'; '.join(problems)})")


def blind(place: str, name: str) -> str:
    """Why this node does not see a file of the store; empty where it does."""
    try:
        files_at(place).read(name)
    except (OSError, StoreError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return ""


def _answer(reference: Any) -> str:
    """What a node answered; nothing where it went away or is too slow to, which is no word about its store."""
    import ray

    try:
        return ray.get(reference, timeout=SEEN_S)
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError):
        return ""


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
