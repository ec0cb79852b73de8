"""Every process of a run is killed under it, on a folder and on an object store: the same table, and nothing left."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.artifacts import HISTORY
from orchestrator.store.store import Store
from tests.orchestrator.conftest import SMALL
from tests.orchestrator.conftest import s3 as s3
from tests.orchestrator.conftest import served as served
from tests.orchestrator.executors.ray.test_executor import (
    EPOCHS,
    beside,
    descendants,
    found,
    pid_in_epoch,
    start,
)
from tests.orchestrator.executors.ray.test_executor import expected as expected  # what inline makes of it
from tests.support.marked import marked, marked_pids

pytestmark = pytest.mark.slow


def worker(process, pid):
    os.kill(pid, signal.SIGKILL)


MEMORY = Path("/sys/fs/cgroup/memory")


def out_of_memory(process, pid):
    """The kernel's own killer strikes a worker whose container has no more memory to give."""
    group = MEMORY / f"kd-test-{pid}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("65536")
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        pytest.skip(f"memory cannot be limited here: {error}")
    deadline = time.time() + 60
    while (group / "cgroup.procs").read_text():
        assert time.time() < deadline, "it goes on with the memory that it has"
        time.sleep(0.1)
    killed = (group / "memory.oom_control").read_text()
    group.rmdir()
    assert "oom_kill 1" in killed, killed


def driver(process, pid):
    process.kill()


def raylet(process, pid):
    kill_one(process, "/raylet/raylet ")


def gcs(process, pid):
    kill_one(process, "/gcs_server ")


def everything(process, pid):
    """As when a machine loses its power."""
    for each in marked_pids():
        os.kill(each, signal.SIGKILL)


def batch_system(process, pid):
    process.terminate()


def kill_one(process, arguments):
    [pid] = [pid for pid, line in descendants(process.pid).items() if arguments in line]
    os.kill(pid, signal.SIGKILL)


GOES_ON = {worker, out_of_memory, raylet, gcs}  # without that anybody gives the command again
MATRIX = [
    (worker, "teacher", "folder"),
    (worker, "student", "s3"),
    (out_of_memory, "student", "folder"),
    (driver, "student", "folder"),
    (driver, "teacher", "s3"),
    (raylet, "teacher", "folder"),
    (raylet, "student", "s3"),
    (gcs, "student", "folder"),
    (everything, "teacher", "folder"),
    (batch_system, "student", "s3"),
]


@pytest.fixture
def file(tmp_path, request) -> Path:
    """The experiment's, on a store of either kind and with MLflow; its folder is as short-lived as the store."""
    store = tmp_path / "store" if request.param == "folder" else request.getfixturevalue("s3").uri()
    tracking = f"tracking: {{{{uri: sqlite:///{tmp_path}/mlflow.db}}}}"
    written = tmp_path / "small.yaml"
    written.write_text(SMALL.replace("tracking: {{enabled: false}}", tracking).format(store=store))
    return written


@pytest.mark.parametrize(("fault", "kind", "file"), MATRIX, indirect=["file"], ids=lambda it: getattr(it, "__name__", None))
def test_a_process_is_killed(fault, kind, file, expected, monkeypatch):
    monkeypatch.setenv(*marked())
    process = start(file)
    pid, _ = pid_in_epoch(process, file, kind, seconds=240)
    spec = load(file, EPOCHS)
    store, plan = Store(spec.store), make(spec)
    reached = {each.key: store.progress(each).get("epoch", 0) for each in plan.of(kind)}
    fault(process, pid)
    struck = time.time()
    output, _ = process.communicate(timeout=400)
    if fault not in GOES_ON:
        assert process.returncode != 0, output
        process = start(file)
        output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    assert "Traceback" not in output

    assert found(file) == expected, "the same table"
    assert beside(file) == [], "each job is there once, and nothing else"
    assert marked_pids() == [], "no process is left"
    for each in plan.of(kind):
        rows = HISTORY.read(store.entry(kind, each.key)).to_pylist()
        again = {row["epoch"] for row in rows if row["time_ms"] / 1000 > struck and row["epoch"] < reached[each.key]}
        assert not again, f"{each.title}: more than its last epoch was done again"
    assert_one_run_for_each_job(f"sqlite:///{file.parent}/mlflow.db", [each for each in plan if each.kind != "bank"])
    shutil.rmtree(file.parent, ignore_errors=True)


def assert_one_run_for_each_job(uri, jobs):
    client = MlflowClient(tracking_uri=uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, run_view_type=ViewType.ALL)
    keys = [run.data.tags["mlflow.kd.key"] for run in runs if "mlflow.kd.key" in run.data.tags]
    assert len(keys) == len(set(keys))
    assert {job.key for job in jobs} <= set(keys)
    assert {run.info.status for run in runs} == {"FINISHED"}
