"""Where MLflow keeps its mirror of the store, and how that place is named without telling a secret."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator.experiment.spec import Spec
from orchestrator.jobs import canonical
from orchestrator.store.backends.cache import cache
from orchestrator.store.store import Store

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


@dataclass(frozen=True)
class TrackingLocation:
    """A tracking URI: an HTTP server or a database."""

    uri: str = field(repr=False)  # may hold a password: for MLflow's own eyes
    artifacts: Path  # folder for artifacts where MLflow is a database; a server has its own

    @property
    def database(self) -> bool:
        """Whether the URI names a database, which we open ourselves."""
        return re.split(r"[+:]", self.uri)[0] in DATABASES

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        scheme, _, path = self.uri.partition(":///")
        return Path(path.partition("?")[0]) if scheme.startswith("sqlite") and path else None

    @property
    def shown(self) -> str:
        """The URI without user and password, for messages and for a browser."""
        return self.hide(self.uri).replace("***@", "")

    def hide(self, text: str) -> str:
        """A text without the URI's user and password, and without any other URI's."""
        user = self._user
        for secret in {f"{user}@" if user else "", *self._passwords} - {""}:
            text = text.replace(secret, "***@" if secret.endswith("@") else "***")
        return re.sub(r"://[^/\s]*@", "://***@", text)

    @property
    def _user(self) -> str:
        """What stands before the last @ of the authority; a database's password may hold a slash."""
        rest = self.uri.partition("://")[2].partition("?")[0]
        return (rest if self.database else rest.partition("/")[0]).rpartition("@")[0]

    @property
    def _passwords(self) -> set[str]:
        found = {self._user.partition(":")[2]}
        for pair in urlsplit(self.uri).query.split("&"):
            name, _, value = pair.partition("=")
            if re.search("pass|token|secret", name, re.IGNORECASE):
                found.add(value)
        return found | {unquote(value) for value in found}


def tracking_location(spec: Spec, store: Store) -> TrackingLocation:
    """The spec's tracking URI, or MLflow's own MLFLOW_TRACKING_URI, or an SQLite file next to the store; of a store that is no
    folder, in this machine's cache: what is lost there, or made on another machine, `kd track` writes anew."""
    folder = store.root or cache() / "mlflow" / canonical.digest(store.location)[:16]
    uri = spec.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"
    return TrackingLocation(uri, folder / "mlartifacts")
