"""`kd ui`."""

from __future__ import annotations

import socket

from tests.support.command_line import printed


def test_a_server_that_the_file_names_is_only_named(toy, capsys):
    assert printed(capsys, "ui", toy, "--set", "tracking.uri=http://there:5000").out == "MLflow is at http://there:5000\n"


def test_a_port_that_is_taken_is_the_users_mistake(toy, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1: Address already in use" in printed(capsys, "ui", toy, "--port", port, code=2).err
