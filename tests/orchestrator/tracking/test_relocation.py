"""A store's folder that was moved, renamed or copied takes its mirror along."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from orchestrator.tracking.failure import sentence
from orchestrator.tracking.location import TrackingLocation
from orchestrator.tracking.server import Server, settings
from tests.support.tracking_world import World, a_spec, afresh, client, dump, living, mirror


@pytest.fixture
def moved(tmp_path, empty):
    """What moves a store into a folder of another name, copying it where it is asked to; gives the world over the new one."""
    world = World(a_spec(tmp_path))
    shutil.copy(empty, world.store.root / "mlflow.db")
    world.finish(*world.plan.of("teacher"))
    first = multiprocessing.get_context("fork").Process(
        target=mirror, args=[world]
    )  # a process of its own: MLflow remembers places in one
    first.start()
    first.join()
    assert first.exitcode == 0

    def move(name="an o%ther plåce", *, copy=False):
        there = tmp_path / name
        (shutil.copytree if copy else os.rename)(world.store.root, there)
        return World(dataclasses.replace(world.spec, store=str(there))), world.store.root

    return move


def places(world):
    """The folders of all runs' artifacts."""
    return {Path(unquote(urlsplit(run.info.artifact_uri).path)).parents[1] for run in living(client(world))}


@pytest.mark.parametrize("copy", [False, True], ids=["moved", "copied"])
def test_what_is_written_then_is_in_the_new_folder_with_what_was_there(moved, empty, copy):
    world, before = moved(copy=copy)
    had = sorted(before.rglob("*"))
    world.finish_all()
    summary = mirror(world)
    assert (
        summary.note
        == f"the store was at {before} before: MLflow's runs now name their artifacts in {world.store.root}/mlartifacts"
    )
    assert str(summary).startswith(summary.note + "\n")
    assert places(world) == {world.store.root / "mlartifacts"}
    assert dump(client(world)) == afresh(world, empty)
    assert sorted(before.rglob("*")) == had  # nothing was made where it was
    again = mirror(world)
    assert (again.note, again.written) == ("", 0)


def test_artifacts_that_were_left_at_the_old_place_are_written_again(moved):
    world, _ = moved(copy=True)
    shutil.rmtree(world.store.root / "mlartifacts")
    assert mirror(world).written >= 1
    assert all(one["files"] for key, one in dump(client(world)).items() if key.startswith("experiment:"))


def test_the_places_of_other_databases_are_their_owners(tmp_path, empty):
    """One database for two stores, and an experiment that somebody made with a place of their own."""
    shutil.copy(empty, tmp_path / "mlflow.db")
    here = TrackingLocation(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "store" / "mlartifacts")
    other = dataclasses.replace(here, artifacts=tmp_path / "other" / "mlartifacts")
    with settings():
        Server(here, "a")
        assert Server(other, "a").note == ""
        beside = dataclasses.replace(here, artifacts=tmp_path / "mlartifacts")
        own = Server(beside, "b")
        assert "the store was at" in own.note
        own._client.create_experiment("theirs", "s3://bucket/mlartifacts")
        own._client.create_experiment("hers", (tmp_path / "results").as_uri())
        assert Server(beside, "a").note == ""
        found = {one.name: one.artifact_location for one in own._client.search_experiments()}
    assert found["a"] == found["b"] == beside.artifacts.as_uri()
    assert (found["theirs"], found["hers"]) == ("s3://bucket/mlartifacts", (tmp_path / "results").as_uri())


def test_a_place_that_cannot_be_written_is_named():
    error = PermissionError(13, "Permission denied", "/old/mlartifacts")
    told = sentence(error, TrackingLocation("sqlite:////m.db", Path("/s/mlartifacts")), "x.yaml")
    assert "its artifacts cannot be written to /old/mlartifacts (Permission denied); make that place" in told
