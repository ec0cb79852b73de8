"""MLflow, as far as we use it: one MLflow experiment behind a tracking URI. The only module that imports mlflow."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.tracking.history import Point
from orchestrator.tracking.location import TrackingLocation
from orchestrator.tracking.record import Data
from orchestrator.tracking.relocation import follow
from orchestrator.tracking.tags import WRITTEN

if TYPE_CHECKING:
    from torch import nn

POINTS_A_CALL = 900  # MLflow takes 1000 metrics, params and tags together
PARAMS_A_CALL = 80  # of which 100 may be params, and 100 tags
RUNS_A_PAGE = 5000
MODELS_A_PAGE = 50
MODEL_TYPE = "image classification"
LONGEST_TAG = 5000  # characters
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the writer repeats whole rounds itself; MLflow would block for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

CHATTER = ("mlflow.store.db.utils", "mlflow.store.model_registry.abstract_store")


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """MLflow's environment while we work with it; what the user has set stays, and what we set goes."""
    ours = [name for name in SETTINGS if name not in os.environ]
    os.environ.update({name: SETTINGS[name] for name in ours})
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in CHATTER}
    for chatter in levels:
        chatter.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for chatter, level in levels.items():
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
    deleted: bool = False


@dataclass(frozen=True)
class LoggedModel:
    """A model as the server has it, and the run that it is of."""

    id: str
    run: str
    tags: dict[str, str]
    ready: bool


@dataclass(frozen=True)
class Model:
    """A network to be kept as a model: from ``example_BCHW`` (uint8) to probabilities (BK). ``program`` is a file that
    torch.export wrote of it, ``torch`` the version of torch."""

    name: str
    network: nn.Module
    example_BCHW: np.ndarray
    classes: int
    program: Path
    torch: str
    points: Sequence[Point]


class Server:
    """The runs of one MLflow experiment, which is made or restored where it is not there.

    Raises:
        mlflow.exceptions.MlflowException, OSError, sqlalchemy.exc.SQLAlchemyError: from every method, where MLflow fails.
    """

    def __init__(self, location: TrackingLocation, experiment: str) -> None:
        if location.file:
            initialise(location.file)
        self.note = follow(location, WRITTEN)  # what a user should know of the place; empty where there is nothing
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

    def tag(self, name: str, value: str) -> None:
        """A tag of the MLflow experiment itself."""
        self._client.set_experiment_tag(self.experiment, name, value)

    def runs(self, tags: Mapping[str, str]) -> list[Run]:
        """All runs with these tags, also those that were deleted and can be restored."""
        from mlflow.entities import LifecycleStage, ViewType

        found: list[Run] = []
        wanted, token = _filter(tags), None
        while True:
            page = self._client.search_runs([self.experiment], wanted, ViewType.ALL, max_results=RUNS_A_PAGE, page_token=token)
            for run in page:
                info, data = run.info, run.data
                deleted = info.lifecycle_stage == LifecycleStage.DELETED
                found.append(Run(info.run_id, info.status, info.start_time, dict(data.params), dict(data.tags), deleted))
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

    def log_data(self, run: Run, data: Data) -> None:
        """Name the data set of a run, which may be told again."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": data.name})
        dataset = Dataset(data.name, data.digest, source_type="local", source=source, profile=data.config)
        self._client.log_inputs(run.id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def models(self, tags: Mapping[str, str]) -> list[LoggedModel]:
        """All models with these tags, also those that were not finished."""
        wanted, found, token = _filter(tags), [], None
        while True:
            page = self._client.search_logged_models([self.experiment], wanted, max_results=MODELS_A_PAGE, page_token=token)
            found += [LoggedModel(one.model_id, one.source_run_id, dict(one.tags), one.status.value == "READY") for one in page]
            if not (token := page.token):
                return found

    def log_model(self, run: Run, model: Model, tags: Mapping[str, str]) -> str:
        """Keep a model below a run, and its id; a process that is killed meanwhile leaves one that is not ready."""
        import mlflow.pytorch
        from mlflow.entities import LoggedModelOutput, Metric
        from mlflow.models import Model as MlflowModel
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        made = self._client.create_logged_model(self.experiment, model.name, run.id, dict(tags), run.params, MODEL_TYPE)
        shape = (-1, *model.example_BCHW.shape[1:])
        with tempfile.TemporaryDirectory(prefix="kd-") as name:
            folder = Path(name) / "model"
            mlflow.pytorch.save_model(
                model.network,
                folder,
                mlflow_model=MlflowModel(made.artifact_location, run.id, model_uuid=made.model_id, model_id=made.model_id),
                signature=ModelSignature(
                    Schema([TensorSpec(model.example_BCHW.dtype, shape)]),
                    Schema([TensorSpec(np.dtype(np.float32), (-1, model.classes))]),
                ),
                input_example=model.example_BCHW,
                pip_requirements=[f"torch=={model.torch}"],  # it would load the model to find out
                serialization_format="pt2",
            )
            # the same program, but without an example that is pickled and the paths of this machine's sources
            shutil.copyfile(model.program, folder / "data" / "model.pt2")
            self._client.log_model_artifacts(made.model_id, str(folder))
        self._client.log_outputs(run.id, [LoggedModelOutput(made.model_id, step=0)])
        metrics = [Metric(*point, model_id=made.model_id, run_id=run.id) for point in model.points]
        self._client.log_batch(run.id, metrics)
        self._client.finalize_logged_model(made.model_id, "READY")
        return str(made.model_id)

    def drop_model(self, model: LoggedModel) -> None:
        """Out of sight."""
        self._client.delete_logged_model(model.id)

    def register(self, name: str, model: str, run: Run, tags: Mapping[str, str]) -> bool:
        """A version of a registered model, which is made where there is none; False where the model is one already."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        versions = self._client.search_model_versions(f"name = '{name}'")
        if any(version.tags.get("kd.model") == model for version in versions):
            return False
        place = self._client.get_logged_model(model).artifact_location  # models:/… would be looked for at MLflow's default URI
        tags = {"kd.model": model, **tags}  # a search tells no model_id
        self._client.create_model_version(name, place, run.id, tags, model_id=model)
        return True

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

    return MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError


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


def _filter(tags: Mapping[str, str]) -> str:
    return " AND ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())


def _cut(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:LONGEST_TAG] for name, value in tags.items()}
