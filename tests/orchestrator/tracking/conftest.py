"""What the tests of tracking have in common: an empty database, and a small experiment over it."""

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from orchestrator.tracking.server import initialise, settings
from tests.support.tracking_world import (
    World,
    a_spec,
    elsewhere,
)


@pytest.fixture(scope="session", autouse=True)
def _hurried_disk():
    """Nothing here outlives the machine, so SQLite need not wait for its disk."""
    if not event.contains(Engine, "connect", hurry):  # other modules of tests use this fixture too
        event.listen(Engine, "connect", hurry)
    yield
    if event.contains(Engine, "connect", hurry):
        event.remove(Engine, "connect", hurry)


def hurry(connection, _):
    connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """MLflow's database without any run."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with settings():
        initialise(file)
    return file


@pytest.fixture
def world(tmp_path, empty):
    return elsewhere(World(a_spec(tmp_path)), empty)
