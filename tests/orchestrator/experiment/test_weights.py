"""Teachers with given weights: checked before anything runs, named by content, evaluated and probed but not trained."""

from __future__ import annotations

import shutil

import pytest
import safetensors.torch
import torch

from kd_core.vision import models
from orchestrator.cli import checks as doctor
from orchestrator.cli.app import main
from orchestrator.driver import run
from orchestrator.executors.executor import CannotRun
from orchestrator.experiment.load import load
from orchestrator.experiment.spec import Weights
from orchestrator.planning.estimate import Estimator
from orchestrator.planning.plan import make
from orchestrator.report.text.render import render
from orchestrator.tracking.job_record import record_of
from tests.support.wrong_files import DATA, TOP, Wrong, check

YAML = """\
name: given
store: {store}
data: {{name: digits, train_size: 150}}
teachers:
  models: resnet8
  recipe: {{epochs: 2, batch_size: 32}}
analysis: {{epochs: 1}}
tracking: {{enabled: false}}
"""
LEARN = """\
students:
  models: resnet8
  methods: [kd, gpac, mgd, simkd]
  recipe: {epochs: 1, batch_size: 32}
"""


def given(file):
    return f"teachers={{models: resnet8, weights: {file}}}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An experiment whose only job is a teacher, and the file that it left."""
    folder = tmp_path_factory.mktemp("given")
    file = folder / "given.yaml"
    file.write_text(YAML.format(store=folder / "store"))
    outcome = run(file, executor="inline", overrides=["probes=false"])
    [teacher] = outcome.plan.of("teacher")
    return file, outcome, outcome.store.entry("teacher", teacher.key).file("model.safetensors")


@pytest.fixture(scope="module")
def finished(trained):
    file, _, weights = trained
    again = file.with_name("again.yaml")
    again.write_text(file.read_text() + LEARN)
    return run(again, executor="inline", overrides=[given(weights)])


def test_it_is_as_good_as_where_it_was_trained_and_students_learn_from_it(trained, finished):
    _, before, weights = trained
    assert not finished.failed
    [first], [job] = before.plan.of("teacher"), finished.plan.of("teacher")
    was, entry = before.store.entry("teacher", first.key), finished.store.entry("teacher", job.key)
    same = ("validation_accuracy", "test_accuracy", "test_loss", "parameters", "shape")
    assert {name: entry.results[name] for name in same} == {name: was.results[name] for name in same}
    assert set(entry.manifest["files"]) == {"model.safetensors", "predictions.arrow"}
    assert entry.file("model.safetensors").read_bytes() == weights.read_bytes()
    assert job.key != first.key
    assert "recipe" not in job.config
    assert {row["status"] for row in finished.results.to_pylist()} == {"done"}
    assert len(finished.probes) > 0


def test_the_report_and_mlflow_say_so(finished):
    text = render(finished.reading, "md")
    assert "Given weights were not trained here." in text
    [row] = [line for line in text.splitlines() if line.startswith("| resnet8-s0 | resnet8 |")]
    assert "| given |" in row
    assert "Learning curves" in render(finished.reading, "html")  # of the students
    [job] = finished.plan.of("teacher")
    record = record_of(job, finished.store, running=False)
    assert record.epochs() == ()
    assert record.params()["weights.sha256"] == job.config["weights"]["sha256"]


def test_its_duration_is_not_taken_for_that_of_a_training(trained, finished):
    file, before, _ = trained
    estimator = Estimator(load(file).resources)
    [job], [untrained] = before.plan.of("teacher"), finished.plan.of("teacher")
    estimator.learn(finished.store.entry("teacher", untrained.key))
    assert estimator.seconds(before.plan, job) is None
    assert estimator.seconds(finished.plan, untrained) is not None


def test_the_key_holds_the_content_and_not_the_path(trained, tmp_path):
    file, _, weights = trained
    moved = tmp_path / "moved.safetensors"
    shutil.copy(weights, moved)
    first, second = (make(load(file, [given(place)])) for place in (weights, moved))
    assert list(first.jobs) == list(second.jobs)
    tensors = safetensors.torch.load_file(moved)
    safetensors.torch.save_file(tensors | {"head.bias": tensors["head.bias"] + 1}, moved)
    assert set(first.jobs).isdisjoint(make(load(file, [given(moved)])).jobs)


def test_a_relative_path_is_looked_for_here_and_then_beside_the_yaml(trained, tmp_path, monkeypatch):
    file, _, weights = trained
    folder, here = tmp_path / "experiments", tmp_path / "here"
    (folder / "w").mkdir(parents=True)
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copy(file, folder / "x.yaml")
    shutil.copy(weights, folder / "w" / "a.safetensors")
    asked = [given("w/a.safetensors")]
    [beside] = load("../experiments/x.yaml", asked).teachers
    assert (beside.weights.file, beside.weights.written) == ("../experiments/w/a.safetensors", "w/a.safetensors")
    (here / "w").mkdir()
    (here / "w" / "a.safetensors").write_bytes(b"another")
    [nearer] = load("../experiments/x.yaml", asked).teachers
    assert nearer.weights.file == "w/a.safetensors"
    assert nearer.weights.sha256 != beside.weights.sha256
    with pytest.raises(ValueError, match=r"no such file: no.pth \(nor ../experiments/no.pth\)"):
        load("../experiments/x.yaml", [given("no.pth")])


def test_what_is_done_needs_its_file_no_more(trained, tmp_path, capsys):
    file, _, weights = trained
    place, store = tmp_path / "w.safetensors", str(tmp_path / "store")
    shutil.copy(weights, place)
    again = [given(place), "probes=false"]
    assert run(file, executor="inline", overrides=again, store=store).computed == 1
    place.unlink()
    options = ["--store", store, *(word for change in again for word in ("--set", change))]
    assert main(["plan", str(file), *options]) == 0
    assert "as it was when it was used last: the file is gone)" in " ".join(capsys.readouterr().out.split())
    assert main(["report", str(file), *options]) == 0
    assert run(file, executor="inline", overrides=again, store=store).computed == 0
    with pytest.raises(CannotRun, match=f"resnet8-s1: no such file: {place}"):  # another seed was not there yet
        run(file, executor="inline", overrides=[given(place).replace("weights", "seeds: 1, weights")], store=store)
    with pytest.raises(ValueError, match="no such file"):  # an experiment that never had it
        load(file, [given(place), "name=other"], store)


def test_doctor_tries_them_too(trained, tmp_path):
    file, _, weights = trained
    assert doctor.weights(load(file, [given(weights)])).found == "resnet8-s0: every tensor fits"
    torch.save({"layer9.weight": torch.zeros(3)}, tmp_path / "other.pth")
    check = doctor.weights(load(file, [given(tmp_path / "other.pth")]))
    assert not check.ok
    assert "not the network's: layer9.weight" in check.found
    assert check.found.endswith("(`kd list models resnet8` shows its tensors)")


def test_the_plan_shows_where_it_is_from(trained, capsys):
    file, _, weights = trained
    spec = load(file, [given(weights)])
    [teacher] = spec.teachers
    assert (teacher.recipe, teacher.weights.file) == (None, str(weights))
    assert main(["plan", str(file), "--set", given(weights)]) == 0
    shown = "".join(capsys.readouterr().out.split())  # a long path is folded
    assert f"weights{weights}(SHA-256{teacher.weights.sha256[:16]}…)" in shown


def test_what_does_not_fit_is_said_before_anything_is_trained(trained, tmp_path):
    file, _, weights = trained
    tensors = safetensors.torch.load_file(weights)
    torch.save({**tensors, "head.weight": torch.zeros(3, 64), "head.bias": torch.zeros(3)}, tmp_path / "three.pth")
    torch.save({"net": tensors, "ema": tensors, "state_dict": tensors}, tmp_path / "two.pth")
    three, two = tmp_path / "three.pth", tmp_path / "two.pth"
    both = [f"teachers=[{{models: resnet8, weights: {three}}}, {{models: resnet8, seeds: 1, weights: {two}}}]"]
    with pytest.raises(CannotRun) as error:
        run(file, executor="inline", overrides=both, store=str(tmp_path / "store"))
    first, second = str(error.value).splitlines()
    assert first.startswith(f"resnet8-s0: {three}: the weights are for 3 classes, but there are 10; without their head they")
    assert second.startswith(f"resnet8-s1: {two} holds several state dicts (state_dict, net)")
    assert not (tmp_path / "store" / "teacher").exists()


def test_a_missing_head_is_told(trained, tmp_path):
    file, _, weights = trained
    body = {name: tensor for name, tensor in safetensors.torch.load_file(weights).items() if not name.startswith("head.")}
    safetensors.torch.save_file(body, tmp_path / "body.safetensors")
    place = tmp_path / "body.safetensors"
    outcome = run(file, executor="inline", overrides=[given(place)], store=str(tmp_path / "store"))
    assert outcome.notes == (f"resnet8-s0: its weights ({place}) have no head; it gets a random one, and answers by chance",)


def test_torchvisions_names(trained, tmp_path, monkeypatch):
    """Where torchvision's weights are for as many classes as the data, they are taken by name."""
    file, _, _ = trained
    native = models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=10)
    monkeypatch.setattr("kd_core.models.weights.names_published", lambda model: {"IMAGENET1K_V1": 10})
    monkeypatch.setattr("orchestrator.stages.teacher.published", lambda model, name: native.state_dict())
    overrides = ["teachers={models: torchvision:shufflenet_v2_x0_5, weights: IMAGENET1K_V1}", "probes=false"]
    spec = load(file, [*overrides, "data.size=32", f"store={tmp_path / 'store'}"])
    assert spec.teachers[0].weights == Weights(name="IMAGENET1K_V1")
    outcome = run(spec, executor="inline")
    assert not outcome.failed
    [job] = outcome.plan.of("teacher")
    assert job.config["weights"] == {"name": "IMAGENET1K_V1"}
    kept = safetensors.torch.load_file(outcome.store.entry("teacher", job.key).file("model.safetensors"))
    assert torch.equal(kept["body.conv1.0.weight"], native.state_dict()["conv1.0.weight"])


FILE = "teachers:\n  models: {models}\n  weights: {weights}\n"  # lines 3 to 5
RGB = "name: x\ndata: {name: cifar10}\n"
WRONG: Wrong = {
    "no file": (
        TOP + FILE.format(models="resnet8", weights="nowhere/x.safetensors"),
        [":5: teachers.weights: no such file: nowhere/x.safetensors"],
    ),
    "no kind of file": (
        TOP + FILE.format(models="resnet8", weights="IMAGENET1K_V1"),
        [":5: teachers.weights: must be a file that ends in .safetensors, .pth, .pt, or the name of weights of torchvision"],
    ),
    "several models": (
        TOP + FILE.format(models="[resnet8, resnet20]", weights="x.pth"),
        [":5: teachers.weights: are for one teacher; give a group of its own to each"],
    ),
    "several seeds": (
        TOP + "teachers:\n  - models: resnet8\n    seeds: [0, 1]\n    weights: x.pth\n",
        [":6: teachers[0].weights: are for one teacher"],
    ),
    "a recipe too": (
        TOP + "teachers:\n  models: resnet8\n  weights: FILE\n  recipe: {epochs: 3}\n",
        [":6: teachers.recipe: a teacher with given `weights` is not trained: leave `recipe` out"],
    ),
    "misspelt weights": (
        RGB + FILE.format(models="torchvision:resnet50", weights="IMAGENET1K_V3"),
        [":5: teachers.weights: torchvision:resnet50 has no weights named 'IMAGENET1K_V3'; did you mean 'IMAGENET1K_V"],
    ),
    "other classes": (
        RGB + FILE.format(models="torchvision:resnet50", weights="IMAGENET1K_V2"),
        [":5: teachers.weights: IMAGENET1K_V2 is for 1,000 classes, but cifar10 has 10"],
    ),
    "no text": (TOP + FILE.format(models="resnet8", weights="3"), [":5: teachers.weights: must be text, but got 3"]),
    "nothing else is wrong": (  # all mistakes at once
        DATA + FILE.format(models="resnet8", weights="nowhere.pt") + "zebra: 1\n",
        [":1: name: is missing", ":4: teachers.weights: no such file: nowhere.pt", ":5: zebra: no such field"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_wrong(text, expected, tmp_path, tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "x.pth"
    file.write_bytes(b"")
    check(text.replace("FILE", str(file)), expected, tmp_path)
