"""A private cluster that listens on loopback alone: `_node_ip_address` of `ray.init`, and `ray._private.services`.

Ray takes a routable address for loopback's (`resolve_ip_for_localhost`), and then listens on every interface. Tested with Ray
2.60.0. Where a later Ray has no such function, nothing is replaced, and there is still the cluster's token; where its `init`
has no such argument, it raises RuntimeError and names it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

LOOPBACK = "127.0.0.1"
ARGUMENT = "_node_ip_address"
RESOLVER = "resolve_ip_for_localhost"


@contextlib.contextmanager
def loopback() -> Iterator[dict[str, Any]]:
    """Have Ray keep the address that it is given; gives the arguments of `ray.init` that name it."""
    from ray._private import services

    if not hasattr(services, RESOLVER):
        yield {ARGUMENT: LOOPBACK}
        return
    original = getattr(services, RESOLVER)
    setattr(services, RESOLVER, lambda host: host)
    try:
        yield {ARGUMENT: LOOPBACK}
    finally:
        setattr(services, RESOLVER, original)
