"""MLflow, as far as we use it: one MLflow experiment behind a tracking URI. The only module that imports mlflow."""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.tracking.history import Point
from orchestrator.tracking.location import TrackingLocation

POINTS_A_CALL = 900  # MLflow takes 1000 metrics, params and tags together
PARAMS_A_CALL = 80  # of which 100 may be params, and 100 tags
RUNS_A_PAGE = 5000
LONGEST_TAG = 5000  # characters
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the writer repeats whole rounds itself; MLflow would block for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """MLflow's environment while we work with it; what the user has set stays, and what we set goes."""
    ours = [name for name in SETTINGS if name not in os.environ]
    os.environ.update({name: SETTINGS[name] for name in ours})
    chatter = logging.getLogger("mlflow.store.db.utils")
    level = chatter.level
    chatter.setLevel(logging.WARNING)
    try:
        yield
    finally:
        chatter.setLevel(level)
        for name in ours:
            os.environ.pop(name, None)


@dataclass
class Run:
    """A run as the server has it."""

    id: str
    status: str
    began_ms: int
    params: dict[str, str]
    tags: dict[str, str]


class Server:
    """The runs of one MLflow experiment, which is made or restored where it is not there.

    Raises:
        mlflow.exceptions.MlflowException, OSError, sqlalchemy.exc.SQLAlchemyError: from every method, where MLflow fails.
    """

    def __init__(self, location: TrackingLocation, experiment: str) -> None:
        if location.file:
            initialise(location.file)
        self._client = connect(location)
        self.experiment: str = self._open(experiment, location)  # MLflow's id of it

    def _open(self, name: str, location: TrackingLocation) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, location.artifacts.as_uri() if location.database else None))
            except MlflowException:
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def runs(self, tags: Mapping[str, str]) -> list[Run]:
        """All living runs with these tags."""
        found: list[Run] = []
        wanted, token = " AND ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items()), None
        while True:
            page = self._client.search_runs([self.experiment], wanted, max_results=RUNS_A_PAGE, page_token=token)
            for run in page:
                info, data = run.info, run.data
                found.append(Run(info.run_id, info.status, info.start_time, dict(data.params), dict(data.tags)))
            if not (token := page.token):
                return found

    def create(self, title: str, began_ms: int, tags: Mapping[str, str]) -> Run:
        """A new run, RUNNING."""
        tags = _cut(tags)
        made = self._client.create_run(self.experiment, start_time=began_ms, tags=tags, run_name=title)
        return Run(made.info.run_id, "RUNNING", began_ms, {}, dict(tags))

    def delete(self, run: Run) -> None:
        """Out of sight; MLflow can restore it until its own ``mlflow gc``."""
        self._client.delete_run(run.id)

    def write(self, run: Run, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Params and points, and then the tags that are new."""
        from mlflow.entities import Metric, Param, RunTag

        tags = {name: value for name, value in _cut(tags).items() if run.tags.get(name) != value}
        params = {name: value for name, value in params.items() if name not in run.params}
        metrics = [Metric(*point) for point in points]
        whole = len(metrics) // POINTS_A_CALL * POINTS_A_CALL
        for start in range(0, whole, POINTS_A_CALL):
            self._client.log_batch(run.id, metrics[start : start + POINTS_A_CALL])
        stated = [Param(name, value) for name, value in params.items()]
        for start in range(PARAMS_A_CALL, len(stated), PARAMS_A_CALL):
            self._client.log_batch(run.id, params=stated[start : start + PARAMS_A_CALL])
        self._client.log_batch(
            run.id,
            metrics[whole:],
            stated[:PARAMS_A_CALL],
            [RunTag(name, value) for name, value in tags.items()],
        )
        run.params.update(params)
        run.tags.update(tags)

    def untag(self, run: Run, *names: str) -> None:
        """Remove tags that are there."""
        for name in names:
            if name in run.tags:
                self._client.delete_tag(run.id, name)
                del run.tags[name]

    def reopen(self, run: Run) -> None:
        """Make an ended run RUNNING. MLflow keeps its old end time until it ends again."""
        self._client.update_run(run.id, status="RUNNING")
        run.status = "RUNNING"

    def attach(self, run: Run, files: Sequence[Path]) -> None:
        """Artifacts: files, and folders under their names."""
        for path in files:
            self._client.log_artifact(run.id, str(path))

    def end(self, run: Run, status: str, ended_ms: int) -> None:
        """Set the final status."""
        self._client.set_terminated(run.id, status, ended_ms)
        run.status = status


def connect(location: TrackingLocation) -> Any:
    """MLflow's client. A database is knocked at first: where it is dead, MLflow would try for 100 s, and aloud."""
    from mlflow import MlflowClient

    if location.database and not location.file:
        import sqlalchemy

        sqlalchemy.create_engine(location.uri).connect().close()
    return MlflowClient(tracking_uri=location.uri)


def failures() -> tuple[type[Exception], ...]:
    """What MLflow, its database or its server raise."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError, ImportError


def initialise(file: Path) -> None:
    """Make MLflow's tables in a new SQLite file.

    It is made beside and linked when it is whole: in place, a process that is killed in these seconds leaves a file that
    MLflow never opens again, and two processes break each other's.
    """
    from mlflow import MlflowClient
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")

    def hurry(connection: Any, _: object) -> None:  # a hundred migrations, each flushed to the disk, are most of the time
        if any(Path(path).name == beside.name for _, _, path in connection.execute("PRAGMA database_list")):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", hurry)
    try:
        MlflowClient(tracking_uri=f"sqlite:///{beside}").search_experiments()
        with beside.open("rb") as made:
            os.fsync(made.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, file)
    finally:
        event.remove(Engine, "connect", hurry)
        beside.unlink(missing_ok=True)


def _cut(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:LONGEST_TAG] for name, value in tags.items()}
