"""The projection through a real MLflow server on loopback, which is killed in the middle; real processes that die."""

import contextlib
import dataclasses
import http.client
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from orchestrator.experiment.spec import Tracking
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from orchestrator.tracking.projection import Summary, project
from orchestrator.tracking.server import settings
from orchestrator.tracking.ui import ui
from orchestrator.tracking.writer import Writer
from tests.support.tracking_world import World, a_spec, client, dump, living, note

pytestmark = pytest.mark.slow

SHOWN = "?workflowType=machine_learning&viewStateShareKey=kd"


@pytest.fixture(autouse=True)
def _impatient():
    with settings():
        yield


class Served:
    """What `kd ui` starts, in a process group of its own."""

    def __init__(self, world):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.interface = ui(world.spec, self.port)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            self.interface.command,
            env=os.environ | self.interface.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)

    def answers(self):
        return self.get("/health") == b"OK"

    def get(self, path):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request("GET", path)
            return connection.getresponse().read()
        return None

    def kill(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def local(tmp_path):
    """An experiment with its SQLite file next to the store."""
    return World(a_spec(tmp_path / "local"))


@pytest.fixture
def served(local):
    server = Served(local)
    server.start()
    yield server
    server.kill()


def through(served, root):
    """An experiment whose MLflow is the server."""
    spec = a_spec(root)
    return World(dataclasses.replace(spec, name="far", tracking=Tracking(uri=served.url)))


def mirror(world, **options):
    return project(world.spec, world.plan, world.store, artifacts=note, **options)


def snapshot(world, *running):
    states = {job.key: State.RUNNING if job in running else State.WAITING for job in world.plan}
    return Snapshot(world.plan, states, {job.key: {} for job in running})


def test_the_interface_shows_what_was_projected_into_the_file(local, served):
    local.finish_all()
    mirror(local)
    [run] = [run for run in living(client_of(served)) if run.data.tags["kd.stage"] == "experiment"]
    assert run.info.run_name == "toy"
    assert served.interface.url == f"{served.url}/#/experiments/{run.info.experiment_id}/runs{SHOWN}"
    assert served.get(f"/get-artifact?path=report.md&run_uuid={run.info.run_id}") == b"all is well"


def client_of(served):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=served.url)


def test_a_server_that_dies_costs_the_training_nothing_and_the_mirror_nothing(served, tmp_path):
    world = through(served, tmp_path / "far")
    first, second = world.of("student")
    writer = Writer(world.spec, world.plan, world.store, note)
    world.finish(*world.of("teacher"), *world.of("probe"))
    world.begin(first, 1)
    writer.update(snapshot(world, first))
    eventually(lambda: dump(client(world), artifacts=False)[first.key]["points"])

    served.kill()
    began = time.perf_counter()
    for epochs in (2, 3):
        world.begin(first, epochs)
        writer.update(snapshot(world, first))
    world.finish(first)
    world.begin(second, 2)
    writer.update(snapshot(world, second))
    assert time.perf_counter() - began < 5
    time.sleep(4)  # the writer tries, and waits
    began = time.perf_counter()
    said = writer.close(20)
    assert time.perf_counter() - began < 15
    assert said == (
        f"MLflow at {served.url} did not answer: Connection refused; `kd track experiments/toy.yaml` writes what is missing"
    )

    served.start()
    held = dump(client(world))
    assert held[first.key]["status"] == "RUNNING"  # as it was when the server died
    ids = {run.data.tags["mlflow.kd.key"]: run.info.run_id for run in living(client(world))}
    assert mirror(world) == Summary(written=4, unchanged=4, removed=0)  # both students, their cell and the experiment
    held = dump(client(world))
    assert (held[first.key]["status"], held[second.key]["status"]) == ("FINISHED", "KILLED")
    assert len(held[first.key]["points"]) == 3 * 5 + 8
    assert len(held[second.key]["points"]) == 2 * 5
    world.finish(second)
    mirror(world)
    now = {run.data.tags["mlflow.kd.key"]: run.info.run_id for run in living(client(world))}
    assert ids.items() < now.items()  # the runs are the same ones
    held = dump(client(world))
    assert mirror(world) == Summary(written=0, unchanged=8, removed=0)
    assert dump(client(world)) == held
    assert mirror(world, rebuild=True) == Summary(written=8, unchanged=0, removed=8)
    assert dump(client(world)) == held


def test_the_mirror_in_a_server_is_the_mirror_in_a_file(served, tmp_path):
    far = through(served, tmp_path / "far")
    far.finish_all()
    mirror(far)
    near = World(dataclasses.replace(far.spec, tracking=Tracking()))
    mirror(near)
    assert dump(client(far)) == dump(client(near))


def eventually(holds, seconds=60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(KeyError):
            if holds():
                return
        time.sleep(0.2)
    raise AssertionError("it never came true")


INITIALISE = """
import sys
from pathlib import Path
from orchestrator.tracking.location import TrackingLocation
from orchestrator.tracking.server import Server, settings
with settings():
    import mlflow
    print("begins", flush=True)
    file = Path(sys.argv[1])
    Server(TrackingLocation(f"sqlite:///{file}", file.parent), "toy")
"""


def starts(file):
    process = subprocess.Popen(
        [sys.executable, "-c", INITIALISE, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    return process


def test_processes_may_make_one_database_at_once_and_die_over_it(tmp_path):
    """In place, MLflow's own way, two of three crash, and a killed one leaves a file that never opens again."""
    file = tmp_path / "mlflow.db"
    for after in (0.1, 0.4):
        killed = starts(file)
        time.sleep(after)
        killed.kill()
        killed.communicate()
    others = [starts(file) for _ in range(3)]
    for other in (*others, starts(file)):
        said = other.communicate(timeout=120)[1]
        assert other.returncode == 0, said
    assert file.exists()
