"""MLflow's environment and its database."""

import subprocess
import sys

from orchestrator.tracking.location import TrackingLocation
from orchestrator.tracking.server import Server, initialise, settings


def test_the_environment_is_lent(monkeypatch):
    import os

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    with settings():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"  # the user's own
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


def test_mlflow_and_torch_are_imported_only_when_something_is_written():
    code = (
        "import sys, orchestrator.tracking.writer, orchestrator.tracking.projection, orchestrator.tracking.ui\n"
        "assert not {'mlflow', 'torch', 'ray', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_new_database_is_there_at_once_and_whole(tmp_path):
    file = tmp_path / "deep" / "mlflow.db"
    with settings():
        initialise(file)
        size = file.stat().st_size
        initialise(file)
        server = Server(TrackingLocation(f"sqlite:///{file}", tmp_path), "toy")
    assert server.runs({"kd.experiment": "toy"}) == []
    assert file.stat().st_size == size
    assert [path.name for path in file.parent.iterdir()] == ["mlflow.db"]
