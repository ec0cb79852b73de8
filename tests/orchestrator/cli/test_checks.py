"""Each check is ok on a sound machine, and says what to do on one that is not."""

from __future__ import annotations

import importlib.metadata
import sqlite3
from dataclasses import replace

import pytest

from orchestrator.cli import checks as doctor
from orchestrator.experiment.spec import Tracking
from orchestrator.store.store import Store


@pytest.fixture
def spec(tmp_path):
    return doctor.bare(str(tmp_path / "store"))


def test_versions_are_those_that_the_project_requires():
    check = doctor.versions()
    assert check.ok
    assert f"torch {importlib.metadata.version('torch')}" in check.found


def test_a_checkout_that_is_not_installed_has_its_requirements_in_its_file(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", absent)
    assert "numpy>=2.0" in doctor.requirements()


def test_old_and_missing_packages_are_named_with_the_command_that_gets_them(monkeypatch):
    wanted = ["torch>=99", "no-such-package>=1", "numpy>=1", 'timm>=1; extra == "timm"']
    monkeypatch.setattr(doctor, "requirements", lambda: wanted)
    check = doctor.versions()
    assert not check.ok
    assert check.found == f"torch is {importlib.metadata.version('torch')}, not >=99, no-such-package is missing"
    assert check.remedy == "pip install 'torch>=99' 'no-such-package>=1'"


def test_a_store_that_is_there_and_one_that_is_not(tmp_path):
    absent = doctor.writable(Store(tmp_path / "a" / "b"))
    assert absent.ok
    assert "will be made" in absent.found
    assert not (tmp_path / "a").exists()
    (tmp_path / "store").mkdir()
    assert "can be written" in doctor.writable(Store(tmp_path / "store")).found


def test_a_store_without_room_or_in_a_file(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    check = doctor.writable(Store(tmp_path / "file" / "store"))
    assert not check.ok
    assert "--store" in check.remedy
    monkeypatch.setattr(doctor, "LEAST_FREE", 2**80)
    check = doctor.writable(Store(tmp_path))
    assert not check.ok
    assert "make room" in check.remedy


def test_devices(monkeypatch):
    assert "CPU" in doctor.devices().found
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")  # a job of one processor on a node of more
    assert doctor.devices().found.startswith("1 CPU cores")


def test_mps_is_found_by_its_pipe(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not doctor.mps()
    (tmp_path / "control").write_bytes(b"")
    assert doctor.mps()


def test_mlflow_databases(spec, tmp_path):
    (tmp_path / "store").mkdir()
    database = tmp_path / "store" / "mlflow.db"
    assert "will be made" in doctor.mlflow(spec).found
    assert not database.exists()
    connection = sqlite3.connect(database)  # a database that MLflow of another time has left
    connection.execute("create table alembic_version (version_num varchar(32) primary key)")
    connection.execute("insert into alembic_version values ('0a8213491aaa')")
    connection.execute("create table experiments (experiment_id integer primary key)")
    connection.commit()
    connection.close()
    check = doctor.mlflow(spec)
    assert not check.ok
    assert "mlflow db upgrade" in check.remedy


def test_a_server_that_does_not_answer_is_named_without_its_password(spec):
    away = replace(spec, tracking=Tracking(uri="http://user:secret@127.0.0.1:9"))
    check = doctor.mlflow(away)
    assert not check.ok
    assert "127.0.0.1:9" in check.found
    assert "secret" not in check.found
    assert doctor.mlflow(replace(spec, tracking=Tracking(enabled=False))).ok


@pytest.mark.slow
def test_ray_starts():
    assert doctor.ray().ok
