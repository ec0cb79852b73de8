"""Whether all nodes of a cluster see the same store."""

from __future__ import annotations

import uuid
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.executors.executor import CannotRun
from orchestrator.store.backends.opening import backend_at
from orchestrator.store.errors import StoreError
from orchestrator.store.store import Store

SEEN_S = 60  # for a node to answer


def require_shared_store(store: Store) -> None:
    """Ask every node for a file that is put into the store: one that sees another store would only use up its jobs' retries.

    Raises:
        CannotRun: naming each node that does not see it, and why.
    """
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(nodes) == 1:
        return
    name = f"seen-{uuid.uuid4().hex[:8]}"
    store.backend.write(name, b"")
    try:
        ask = ray.remote(num_cpus=0, max_retries=0)(why_unseen)
        strategies = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
        asked = [ask.options(scheduling_strategy=strategy).remote(store.location, name) for strategy in strategies]
        answers = zip(nodes.values(), map(_answer, asked), strict=True)
        problems = [f"{address}: {problem}" for address, problem in answers if problem]
    finally:
        store.backend.remove(name)
    if problems:
        raise CannotRun(f"not all nodes see the store {store.location}, which must be the same for all ({'; '.join(problems)})")


def why_unseen(location: str, name: str) -> str:
    """Why this node does not see a file of the store; empty where it does."""
    try:
        backend_at(location).read(name)
    except (OSError, StoreError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return ""


def _answer(reference: Any) -> str:
    """What a node answered; nothing where it went away or is too slow to, which is no word about its store."""
    try:
        return str(ray.get(reference, timeout=SEEN_S))
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError):
        return ""
