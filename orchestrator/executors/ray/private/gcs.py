"""A ping of Ray's global control service (GCS), by the method `GetClusterId` of its protocol, before ray is imported.

`ray.rpc.NodeInfoGcsService` is in no public interface. Tested with Ray 2.60.0. Where a later Ray has no such method, the
cluster is taken for one that cannot be asked, and our token is used if there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

METHOD = "/ray.rpc.NodeInfoGcsService/GetClusterId"  # its request has no fields


def refuses_token(address: str, timeout_s: float, headers: Mapping[str, str] = MappingProxyType({})) -> bool | None:
    """Whether the cluster at HOST:PORT wants another token than is in the headers; None where it cannot be asked."""
    import grpc

    if not address.rpartition(":")[2].isdigit() or "://" in address:
        return None
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        try:
            call(b"", timeout=timeout_s, metadata=tuple(headers.items()))
        except grpc.RpcError as error:
            return True if error.code() == grpc.StatusCode.UNAUTHENTICATED else None
    return False
