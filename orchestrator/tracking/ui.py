"""MLflow's own user interface, at the right place."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from orchestrator.spec.spec import Spec
from orchestrator.store import Store
from orchestrator.tracking.place import place_of
from orchestrator.tracking.server import Server, settings

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Interface:
    """A URL to open, and what has to run for it: nothing where a server is there already."""

    url: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict, repr=False)  # besides the process's own; may hold a password


def ui(spec: Spec, port: int) -> Interface:
    """The interface of an experiment's tracking place; its server listens on loopback alone.

    One worker and no job runners: 7 s to start and 0.5 GB, and not 22 s and 2.7 GB. A database's URI goes by the environment
    and not by the command line, which everybody on the machine can read.
    """
    store = Store(spec.store)
    place = place_of(spec, store)
    if not place.database:
        return Interface(place.shown)
    url = f"http://{HOST}:{port}"
    if place.file:
        with settings():
            experiment = Server(place, spec.tracking.experiment or spec.name).experiment
        url += f"/#/experiments/{experiment}/runs"  # not the overview of traces, which is empty
    command = (sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1")
    environment = {
        "MLFLOW_BACKEND_STORE_URI": place.uri,
        "MLFLOW_ARTIFACTS_DESTINATION": place.artifacts.as_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return Interface(url, command, environment)
