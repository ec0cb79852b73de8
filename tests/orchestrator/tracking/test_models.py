"""Networks kept as models of MLflow, from a store of real trainings, and loaded as its users load them."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
import torch

from orchestrator.experiment.load import load
from orchestrator.export import program
from orchestrator.export.compare import some
from orchestrator.export.description import ExportError
from orchestrator.planning.plan import make
from orchestrator.stages.networks import splits_of
from orchestrator.store.artifacts import PREDICTIONS
from orchestrator.store.store import Store
from orchestrator.tracking import server as servers
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.models import ModelSummary, chosen
from orchestrator.tracking.projection import project
from tests.support import taught


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return taught.trained(tmp_path_factory.mktemp("models"), "models")


@pytest.fixture
def world(trained, tmp_path, empty, monkeypatch, tmp_path_factory):
    """A copy of the store, with MLflow's tables in it. Nothing is written where the user stands."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    file = taught.asked(tmp_path, "models")
    shutil.copytree(trained.parent / "store", tmp_path / "store")
    spec = load(file)
    store = Store(spec.store)
    shutil.copy(empty, tracking_location(spec, store).file)
    yield spec, make(spec), store
    assert list(Path().iterdir()) == []


def client(world):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_location(world[0], world[2]).uri)


def logged(world):
    mlflow = client(world)
    return mlflow.search_logged_models([one.experiment_id for one in mlflow.search_experiments()])


@pytest.fixture
def mlflow_of():
    """mlflow, asked about the models of a world."""
    import mlflow

    def there(world):
        mlflow.set_tracking_uri(tracking_location(world[0], world[2]).uri)
        return mlflow

    yield there
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # set_tracking_uri sets it for all processes that are started, and we go by it


def test_what_mlflow_loads_says_what_the_network_said_in_its_test(world, mlflow_of):
    """The teacher, plain training's best seed, and SimKD's, whose logits are made by parts of the method."""
    spec, plan, store = world
    assert project(*world, models=True).models == ModelSummary(3, 0)
    mlflow = mlflow_of(world)
    found = {model.name: model for model in logged(world)}
    assert len(found) == 3
    for job, entry in chosen(plan, store):
        [model] = [model for model in found.values() if model.tags["mlflow.kd.key"] == job.key]
        uri = f"models:/{model.model_id}"
        test = splits_of(entry.manifest["config"], spec.place).test
        images_NCHW, places_N = some(test, 64)
        said_N = torch.tensor(PREDICTIONS.read(entry)["predicted"].to_pylist())[places_N]
        assert (mlflow.pytorch.load_model(uri)(images_NCHW).argmax(1) == said_N).all()
        generic = mlflow.pyfunc.load_model(uri)
        assert generic.predict(images_NCHW.numpy()).shape == (64, 10)
        assert generic.input_example.shape == (2, 1, 8, 8)
        assert [tuple(each.shape) for each in (*generic.metadata.signature.inputs, *generic.metadata.signature.outputs)] == [
            (-1, 1, 8, 8),
            (-1, 10),
        ]
        assert {metric.key: metric.value for metric in model.metrics}["test/accuracy"] == entry.results["test_accuracy"]
        assert client(world).get_run(model.source_run_id).data.tags["mlflow.kd.key"] == job.key


def test_a_model_holds_no_pickle_and_no_path(world, tmp_path, mlflow_of):
    project(*world, models=True)
    mlflow = mlflow_of(world)
    for model in logged(world):
        folder = mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=tmp_path / model.model_id)
        [file] = (tmp_path / model.model_id).rglob("model.pt2")
        program.load(file, None)  # which opens nothing but arithmetic
        assert b"site-packages" not in file.read_bytes()
        assert "torch==" in (tmp_path / model.model_id / "requirements.txt").read_text(), folder


def test_what_is_there_is_not_made_again(world):
    project(*world, models=True)
    before = {model.model_id for model in logged(world)}
    again = project(*world, models=True)
    assert (again.written, again.models) == (0, ModelSummary(0, 3))
    assert str(again).endswith("0 models logged, 3 unchanged")
    assert {model.model_id for model in logged(world)} == before


def test_a_model_is_registered_once_and_names_its_run(world, mlflow_of):
    assert project(*world, models=True, register=True).models == ModelSummary(3, 0, 3)
    assert project(*world, models=True, register=True).models == ModelSummary(0, 3, 0)
    mlflow = client(world)
    versions = mlflow.search_model_versions()
    assert sorted(version.name for version in versions) == ["models-resnet8-none", "models-resnet8-s0", "models-resnet8-simkd"]
    for version in versions:
        name = f"models:/{version.name}/1"
        assert mlflow_of(world).pytorch.load_model(name)(torch.zeros(3, 1, 8, 8, dtype=torch.uint8)).shape == (3, 10)
        assert mlflow.get_run(version.run_id).data.tags["mlflow.kd.key"] == version.tags["kd.job"]


def test_what_cannot_be_a_model_is_said_and_the_others_are(world, monkeypatch):
    whole = program.save

    def save(network, images_BCHW, path):
        if network.logits.whole:
            whole(network, images_BCHW, path)
        else:
            raise ExportError("it goes another way by what it sees")

    monkeypatch.setattr(program, "save", save)
    found = project(*world, models=True, register=True).models
    assert (found.logged, found.registered) == (2, 2)
    [refused] = found.refused
    assert refused.startswith("resnet8 · simkd · s")
    assert str(found).endswith(" is no model: it goes another way by what it sees")


@pytest.mark.slow
def test_a_store_that_was_moved_takes_its_models_along(world, tmp_path, mlflow_of):
    project(*world, models=True, register=True)
    spec, plan, store = world
    os.rename(store.root, tmp_path / "moved")
    there = dataclasses.replace(spec, store=str(tmp_path / "moved"))
    world = there, plan, Store(there.store)
    assert project(*world, models=True, register=True).models == ModelSummary(0, 3, 0)
    network = mlflow_of(world).pytorch.load_model("models:/models-resnet8-none/1")
    assert network(torch.zeros(3, 1, 8, 8, dtype=torch.uint8)).shape == (3, 10)


@pytest.mark.slow
def test_a_run_that_is_written_anew_gets_its_model_anew(world):
    project(*world, models=True)
    assert project(*world, rebuild=True, models=True).models == ModelSummary(3, 0)
    runs = {one.info.run_id for one in client(world).search_runs(["0", "1", "2"])}
    assert len(logged(world)) == 3
    assert all(model.source_run_id in runs for model in logged(world))


@pytest.mark.slow
@pytest.mark.parametrize("step", ["create_logged_model", "log_model_artifacts", "log_outputs", "finalize_logged_model"])
def test_what_was_killed_in_between_is_finished(world, step, monkeypatch):
    """The process dies after that request: what is not ready goes, and there is one model of each."""
    project(*world)

    class Killed(BaseException):
        pass

    real = servers.connect

    def dying(location):
        made = real(location)
        does = getattr(made, step)

        def and_dies(*arguments, **named):
            does(*arguments, **named)
            raise Killed

        setattr(made, step, and_dies)
        return made

    monkeypatch.setattr(servers, "connect", dying)
    with pytest.raises(Killed):
        project(*world, models=True)
    monkeypatch.setattr(servers, "connect", real)
    done = int(step == "finalize_logged_model")
    assert project(*world, models=True).models == ModelSummary(3 - done, done)
    assert [model.status.value for model in logged(world)] == ["READY"] * 3
