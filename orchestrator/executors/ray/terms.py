"""What a session on a Ray cluster is opened with."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.executors.runtimes import Runtimes


@dataclass(frozen=True)
class Terms:
    """``kinds`` are those of the jobs that will be submitted, ``address`` is an existing cluster's or None for a private one,
    ``scratch`` is the folder of the store for what Tune writes, ``nodes`` is how many nodes are waited for at first."""

    runtimes: Runtimes
    kinds: frozenset[str]
    address: str | None
    scratch: str
    nodes: int = 1
