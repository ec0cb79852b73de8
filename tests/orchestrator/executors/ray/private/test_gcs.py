"""The method is in Ray's protocol, and each way to answer is told from the others. A real head: test_submission.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from ray.core.generated import gcs_service_pb2

from orchestrator.executors.ray.private.gcs import METHOD, refuses_token

TOKEN = {"authorization": "Bearer right"}


class Answers(grpc.GenericRpcHandler):
    """The method, as a cluster with a token has it."""

    def service(self, details):
        if details.method != METHOD:
            return None
        right = dict(details.invocation_metadata).get("authorization") == TOKEN["authorization"]

        def answer(request, context):
            if not right:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


def served(*handlers):
    server = grpc.server(ThreadPoolExecutor(1), handlers=handlers)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    return server, address


def test_the_method_is_in_rays_protocol_and_its_request_may_be_empty():
    service, _, name = METHOD.removeprefix("/ray.rpc.").partition("/")
    method = gcs_service_pb2.DESCRIPTOR.services_by_name[service].methods_by_name[name]
    assert f"/{method.containing_service.full_name}/{method.name}" == METHOD
    assert list(method.input_type.fields) == []


def test_a_cluster_that_wants_a_token():
    server, address = served(Answers())
    try:
        assert refuses_token(address, 10) is True
        assert refuses_token(address, 10, {"authorization": "Bearer wrong"}) is True
        assert refuses_token(address, 10, TOKEN) is False
    finally:
        server.stop(None)


def test_a_ray_without_the_method_cannot_be_asked():
    server, address = served()
    try:
        assert refuses_token(address, 10) is None
    finally:
        server.stop(None)


@pytest.mark.parametrize("address", ["auto", "ray://127.0.0.1:10001", "127.0.0.1:1"])
def test_nor_can_what_is_no_such_address_or_does_not_answer(address):
    assert refuses_token(address, 0.5) is None
