"""MLflow's interface is started, or named."""

from __future__ import annotations

import socket
import sys

import pytest
import typer

from orchestrator.cli.serve import serve
from orchestrator.tracking.ui import Interface


def test_a_tracking_server_that_is_there_is_only_named(capsys):
    assert serve(Interface("https://mlflow.example"), 5000) == 0
    assert capsys.readouterr().out == "MLflow is at https://mlflow.example\n"


def test_the_interface_is_served_where_the_port_is_free(capsys):
    ends = Interface(
        "http://127.0.0.1", (sys.executable, "-c", "import os; raise SystemExit(int(os.environ['CODE']))"), {"CODE": "3"}
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(typer.BadParameter, match=f"port {port} .*Address already in use; try --port {port + 1}"):
            serve(ends, port)
    assert serve(ends, port) == 3
