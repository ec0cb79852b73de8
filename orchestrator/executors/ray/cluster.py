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
from collections.abc import Iterator
from typing import Any

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.ray.auth import HOW, MODE, make_token, token_at_hand, use_token
from orchestrator.executors.ray.owner import require_own_cluster
from orchestrator.executors.ray.private import settings
from orchestrator.executors.ray.private.auth_headers import auth_headers
from orchestrator.executors.ray.private.gcs import refuses_token
from orchestrator.executors.ray.private.import_path import job_config
from orchestrator.executors.ray.private.loopback import loopback
from orchestrator.executors.ray.private.orphan_watch import watch_this_process
from orchestrator.executors.ray.remote_error import last_line
from orchestrator.executors.ray.temp_folder import REMEDY, temp_folder
from orchestrator.experiment.spec import Allocation
from orchestrator.planning.schedule import processors

CONNECT_TIMEOUT_S = 10  # for a cluster that is to be joined
NODES_S = 120  # for the nodes that were asked for to join
ANSWER_S = 60  # for a worker of a new cluster
SHOW = "KD_RAY_OUTPUT"  # set to anything, Ray's own messages are shown
OBJECT_STORE_BYTES = 200 * 2**20  # jobs pass keys and files, not objects


def connect(address: str | None) -> None:
    """Start a private cluster, on loopback and with a token of its own, or join the one at ``address``.

    Raises:
        CannotRun: where there is no cluster at that address, it is a stranger's or does not accept our token, or none can be
            started.
    """
    if address == "auto":
        require_own_cluster()
    for name, value in settings.CLUSTER.items():
        os.environ.setdefault(name, value)
    with watch_this_process():
        if address:
            _require_listener(address)
            _match_auth_mode(address)
        else:
            make_token()
        import ray  # noqa: F401 -- where Ray reads its settings
    with _own_signals():
        _connect(address)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """While Ray starts in the block, its processes inherit that SIGHUP is ignored, so that they outlive a closed terminal until
    this process has ended in order; and Ray's own handler of SIGTERM, which prints its stack and aborts, is put away again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _require_listener(address: str) -> None:
    """Ray itself waits minutes for a cluster that is not there.

    Raises:
        CannotRun: where nothing listens at HOST:PORT or ray://HOST:PORT.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return  # a name that Ray resolves, such as auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise CannotRun(f"no Ray cluster answers at {address}: {error.strerror or error}") from error


def _match_auth_mode(address: str) -> None:
    """Use the token where the cluster asks for one, and only there: workers of a driver in another mode than its cluster die.

    It is asked before ray is imported, which fixes the mode. Where it cannot be asked, the token is used if there is one.

    Raises:
        CannotRun: where the cluster asks for a token that we have not. Ray itself would try for 20 s, and warn each second.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)  # in a job of a cluster, its address
    token_required = refuses_token(address, CONNECT_TIMEOUT_S)
    if token_required is None:
        use_token()
        return
    os.environ[MODE] = "token" if token_required else "disabled"
    if not token_required:
        return
    if not token_at_hand():
        raise CannotRun(f"the cluster at {address} asks for its token: {HOW}")
    headers = auth_headers()
    if headers is not None and refuses_token(address, CONNECT_TIMEOUT_S, headers):
        raise CannotRun(f"the cluster at {address} does not accept our token: {HOW}")


def _connect(address: str | None) -> None:
    """Have Ray start the cluster or join it.

    Raises:
        CannotRun: where the cluster does not let us in, or none can be started.
    """
    import ray
    from ray.exceptions import AuthenticationError, RayError

    logging.getLogger("ray").setLevel(logging.ERROR)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True, "namespace": "kd"}
    if not (address or "").startswith("ray://"):  # where the server of clients makes the job
        common["job_config"] = job_config()
    if address:
        try:
            ray.init(address=address, **common)
        except (AuthenticationError, ConnectionError, RuntimeError, ValueError) as error:
            raise CannotRun(f"no Ray cluster lets us in at {address}: {last_line(error)}") from error
        return
    folder = temp_folder()
    try:
        with loopback() as bound:
            ray.init(
                address="local",
                include_dashboard=False,
                num_cpus=processors(),
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=folder,
                **bound,
                **common,
            )
    except OSError as error:
        raise CannotRun(f"Ray cannot start: {last_line(error)}; {REMEDY}") from error
    except (RuntimeError, ValueError, RayError) as error:
        raise CannotRun(f"Ray cannot start: {last_line(error)} ({SHOW}=1 shows all that it says)") from error


def answer_s() -> float:
    """Seconds until a worker of a new private cluster, which ends here, has answered.

    Raises:
        CannotRun: as :func:`connect`, and where it has not after ANSWER_S, or raised.
    """
    began = time.monotonic()
    connect(None)
    import ray

    try:
        ray.get(ray.remote(_in_worker).remote(), timeout=ANSWER_S)
    except ray.exceptions.GetTimeoutError:
        raise CannotRun(
            f"no worker of a new cluster answered in {ANSWER_S} s: is the machine busy, or short of memory?"
        ) from None
    except ray.exceptions.RayError as error:
        raise CannotRun(f"no worker of a new cluster can run this project: {last_line(error)}") from error
    finally:
        ray.shutdown()
    return time.monotonic() - began


def _in_worker() -> str:
    """Found by name in the worker, which so shows that it has the project."""
    return platform.python_version()


def await_nodes(count: int) -> int:
    """Wait until so many nodes live, or NODES_S have gone by; how many do."""
    import ray

    until = time.monotonic() + NODES_S
    while True:
        living = len([node for node in ray.nodes() if node["Alive"]])
        if living >= count or time.monotonic() > until:
            return living
        time.sleep(0.5)


def slots(allocation: Allocation) -> int:
    """How many jobs of that allocation fit onto the living nodes at once."""
    import ray

    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            fits = [
                int(has.get(name, 0) / asked + 1e-9)
                for name, asked in (("CPU", allocation.cpus), ("GPU", allocation.gpus))
                if asked
            ]
            total += min(fits, default=0)
    return total


def require(name: str, allocation: Allocation) -> int:
    """The slots for an allocation, at least one.

    Raises:
        CannotRun: where no node has as much; a request for it would wait for ever.
    """
    if found := slots(allocation):
        return found
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has = "; ".join(f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes)
    raise CannotRun(
        f"resources.{name} asks for {allocation.cpus:g} CPU and {allocation.gpus:g} GPU, but no node has as much (nodes: {has})"
    )
