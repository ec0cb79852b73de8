"""MLflow's own user interface, at the right place."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.experiment.spec import Spec
from orchestrator.jobs import canonical
from orchestrator.store.files import write_bytes
from orchestrator.store.store import Store
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.server import Server, settings

HOST = "127.0.0.1"
VIEW_KEY = "kd"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"  # where MLflow keeps what its button "Share view" shares
COLUMNS = ("test/accuracy.mean", "test/accuracy.std", "test/accuracy.n", "test/accuracy.vs_plain", "test/accuracy")
SECTION = "kd"  # of the page of charts, above those that MLflow makes of every metric
_LINE = {  # what MLflow's page has for a line chart by itself
    "lineSmoothness": 0,
    "xAxisKey": "step",
    "selectedXAxisMetricKey": "",
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "range": {},
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "ignoreOutliers": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


def _chart(kind: str, metric: str, **more: object) -> dict[str, object]:
    """A chart of a metric as MLflow's page keeps it: ``kind`` is BAR, of runs that have it, or LINE, over the epochs."""
    own = {"type": kind, "uuid": f"kd-{metric}", "metricSectionId": SECTION, "deleted": False, "isGenerated": False}
    return own | {"metricKey": metric, "selectedMetricKeys": [metric], "runsCountToCompare": 20} | more


# In any order but that of their beginnings runs are listed flat: children are seen, and cells, which have a mean, come first.
VIEW: dict[str, object] = {
    "orderByKey": f"metrics.`{COLUMNS[0]}`",
    "orderByAsc": False,
    "selectedColumns": [f"metrics.`{name}`" for name in COLUMNS],
    "isAccordionReordered": True,  # sections stay in this order, and not in that of their names
    "compareRunSections": [{"uuid": SECTION, "name": "Methods compared", "display": True, "isReordered": False}],
    "compareRunCharts": [
        _chart("BAR", "test/accuracy.mean"),
        _chart("BAR", "test/accuracy.vs_plain"),
        _chart("LINE", "validation/accuracy", **_LINE),
        _chart("LINE", "loss", **_LINE),
    ],
}
EVERYWHERE = ("0.0.0.0", "::")
SECRETS = ("MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_AUTH_ADMIN_PASSWORD")


@dataclass(frozen=True)
class Interface:
    """A URL to open, and what has to run for it: nothing where a server is there already."""

    url: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict, repr=False)  # besides the process's own; may hold a password


class Unguarded(ValueError):
    """The interface would be open to everybody who reaches its address."""


def ui(spec: Spec, port: int, host: str = HOST, *, insecure: bool = False) -> Interface:
    """The interface of an experiment's tracking place. Where others reach its address, it asks for a password.

    One worker and no job runners: 7 s to start and 0.5 GB, and not 22 s and 2.7 GB. A database's URI goes by the environment
    and not by the command line, which everybody on the machine can read.

    Raises:
        Unguarded: where others reach it, and there is neither a password for MLflow's basic auth nor ``insecure``.
    """
    store = Store(spec.store)
    location = tracking_location(spec, store)
    if not location.database:
        return Interface(location.shown)
    guard = {} if insecure or loopback(host) else guarded(host, location.artifacts.parent)
    url = f"http://{HOST if host in EVERYWHERE else host}:{port}"
    if location.file:
        with settings():
            server = Server(location, spec.tracking.experiment or spec.name)
            server.tag(VIEW_TAG, canonical.text(VIEW))
        url += f"/#/experiments/{server.experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW_KEY}"
    command = (sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1")
    environment = {
        "MLFLOW_BACKEND_STORE_URI": location.uri,
        "MLFLOW_ARTIFACTS_DESTINATION": location.artifacts.as_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # `-m` would look for modules in the working folder first
    }
    return Interface(url, command + (("--app-name", "basic-auth") if guard else ()), environment | guard)


def guarded(host: str, folder: Path) -> dict[str, str]:
    """The environment of MLflow's basic auth; who may come in is kept in a database of its own in the folder.

    Raises:
        Unguarded: where a secret of it is missing, or the package that it needs.
    """
    found = {name: secret(name) for name in SECRETS}
    if missing := [name for name, value in found.items() if not value]:
        raise Unguarded(
            f"refused to listen on {host} without a password: set {' and '.join(missing)} "
            "(or the same name with _FILE to a file that holds it), or say --insecure"
        )
    if importlib.util.find_spec("flask_wtf") is None:
        raise Unguarded(
            f"refused to listen on {host}: MLflow asks for a password only where Flask-WTF is installed: "
            "pip install 'kd-orchestrator[cluster]', or say --insecure"
        )
    config = folder / "mlflow-auth.ini"
    users = f"sqlite:///{folder / 'mlflow-auth.db'}".replace("%", "%%")  # which means something in such a file
    write_bytes(config, f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {users}\nadmin_username = admin\n".encode())
    return found | {"MLFLOW_AUTH_CONFIG_PATH": os.environ.get("MLFLOW_AUTH_CONFIG_PATH", str(config))}


def secret(name: str) -> str:
    """A secret from the environment, or from the file that ``NAME_FILE`` names; empty where there is none."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else os.environ.get(name, "")


def loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
