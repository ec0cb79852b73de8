"""`kd ui`: what is begun, and where."""

from orchestrator.tracking.ui import ui
from tests.support.tracking_world import (
    a_spec,
)


def test_the_interface_is_on_loopback_and_its_command_holds_no_secret(tmp_path):
    found = ui(a_spec(tmp_path, uri="postgresql://kim:hunter2@host/mlflow"), 5050)
    assert found.url == "http://127.0.0.1:5050"
    assert " ".join(found.command[1:]) == "-m mlflow server --host 127.0.0.1 --port 5050 --workers 1"
    assert "hunter2" not in repr(found)
    assert found.environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://kim:hunter2@host/mlflow"
    assert found.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_a_server_that_is_there_is_only_named(tmp_path):
    found = ui(a_spec(tmp_path, uri="https://kim:hunter2@host/mlflow"), 5050)
    assert (found.url, found.command) == ("https://host/mlflow", ())
