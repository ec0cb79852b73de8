"""Students taken out of a store, inline on digits, and asked through what was written."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from PIL import Image

from kd_core.data.place import Place
from orchestrator.cli.app import main
from orchestrator.experiment.load import load
from orchestrator.export import description
from orchestrator.export.compare import compare
from orchestrator.export.description import ExportError
from orchestrator.export.export import best_of, export
from orchestrator.export.formats import FORMATS
from orchestrator.export.predict import predict
from orchestrator.planning.names import find
from orchestrator.planning.plan import make
from orchestrator.stages.networks import splits_of
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.files import OutputError
from orchestrator.store.store import Store
from tests.support import taught


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    spec = load(taught.trained(tmp_path_factory.mktemp("away"), "away"))
    return spec, make(spec), Store(spec.store)


def written(world, name, format, folder, **options):
    spec, plan, store = world
    job, entry = best_of(find(plan.of("student"), name), store)
    return export(spec, plan, store, job, entry, format, folder, **options), entry


def digits(entry, tmp_path, count=4):
    """Images of the test split, as files."""
    test = splits_of(entry.manifest["config"], Place()).test
    paths = []
    for index in range(count):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(test.images_NCHW[index, 0].numpy()).save(paths[-1])
    return paths


@pytest.mark.filterwarnings("error:No complete tensor")
@pytest.mark.parametrize(("name", "format"), [("resnet8/none/s0", "safetensors"), ("resnet8/simkd/s1", "torch-export")])
def test_a_student_says_after_all_what_it_said_when_it_was_tested(world, tmp_path, name, format):
    """SimKD's logits are made by parts of the method and heads of the teachers."""
    folder = tmp_path / "student"
    about, entry = written(world, name, format, folder)
    assert about.comparison.same_class == about.comparison.as_tested == about.comparison.images == 256
    assert about.comparison.largest_difference < 1e-5
    assert sorted(path.name for path in folder.iterdir()) == sorted([FORMATS[format].file, "README.md", "export.json"])
    assert description.read(folder) == about
    answers = predict(folder, about, digits(entry, tmp_path), top=1)
    from orchestrator.store.artifacts import PREDICTIONS

    said = PREDICTIONS.read(entry)["predicted"].to_pylist()[:4]
    assert [answer.classes[0][0] for answer in answers] == [str(label) for label in said]


def test_the_card_tells_what_is_needed(world, tmp_path):
    about, entry = written(world, "resnet8/simkd/s0", "torch-export", tmp_path / "student", check=False)
    card = (tmp_path / "student" / "README.md").read_text()
    for told in (
        "trained by simkd to follow resnet8-s0",
        f"| this student | test | chosen on the validation split | {100 * entry.results['test_accuracy']:.2f} %",
        "| teacher resnet8-s0 | test |",
        f"{about.cost.multiplications / 1e6:.2f} million multiply-accumulates",
        "1 image: ",
        "0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        about.key,
        '"simkd":{"beta":1,"reduction":2}',
    ):
        assert told in card
    assert "Compared with the original" not in card
    assert about.comparison is None
    assert about.cost.multiplications > entry.results["multiplications"]  # the projector's are its own, too
    assert about.cost.bytes == (tmp_path / "student" / "model.pt2").stat().st_size
    assert all(milliseconds > 0 for milliseconds in about.cost.latency_ms.values())


def test_without_a_seed_the_best_by_validation(world):
    _, plan, store = world
    jobs = find(plan.of("student"), "resnet8/none")
    _, entry = best_of(jobs, store)
    both = [store.entry("student", job.key).results["validation_accuracy"] for job in jobs]
    assert entry.results["validation_accuracy"] == max(both)


def test_what_cannot_be_exported(world, tmp_path):
    _, plan, store = world
    with pytest.raises(ExportError, match=r"parts of its method.*torch-export"):
        written(world, "resnet8/simkd", "safetensors", tmp_path / "student")
    with pytest.raises(ExportError, match="is a teacher; only students"):
        best_of(plan.of("teacher"), store)
    with pytest.raises(ExportError, match="several students are called so"):
        best_of(plan.of("student"), store)
    with pytest.raises(ExportError, match="is not done"):
        best_of(find(plan.of("student"), "resnet8/none"), Store(tmp_path / "empty"))
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="is there already"):
        written(world, "resnet8/none", "safetensors", tmp_path / "there")
    assert list(tmp_path.glob(".*")) == []  # nothing is left half-written


def test_a_package_that_is_not_there_is_named(world, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExportError, match="--format onnx needs onnx, onnxscript, onnxruntime: pip install"):
        written(world, "resnet8/none", "onnx", tmp_path / "student")
    assert not (tmp_path / "student").exists()


def test_an_export_that_says_something_else_is_not_written(world, tmp_path, monkeypatch):
    def wrong(path, about):
        return lambda images: FORMATS["safetensors"].load(path, about)(images).flip(1)

    other = dataclasses.replace(FORMATS["safetensors"], load=wrong)
    monkeypatch.setitem(FORMATS, "torch-export", other)
    with pytest.raises(ExportError, match="does not say what the original says: a probability differs by"):
        written(world, "resnet8/none/s0", "torch-export", tmp_path / "student")
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_by_hand():
    """Two of three images get the same class; 0.4 − 0.1 is the largest difference."""
    original = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    ours = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    images = torch.arange(3)[:, None, None, None]
    found = compare(lambda part: ours[part.flatten()], lambda part: original[part.flatten()], images, torch.tensor([0, 0, 0]))
    assert (found.images, found.same_class, found.as_tested) == (3, 2, 1)
    assert found.largest_difference == pytest.approx(0.3)


def test_exports_that_were_changed(world, tmp_path):
    folder = tmp_path / "student"
    written(world, "resnet8/none", "safetensors", folder, check=False)
    stated = (folder / "export.json").read_text()
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ExportError, match="its SHA-256 is another"):
        description.read(folder)
    for change, message in (
        ({"file": "../model.safetensors"}, "none that `kd export` wrote"),
        ({"file": "absent"}, "is missing"),
        ({"input": {"channels": 1, "resized": 8, "size": 8, "mean": [0.1], "std": [0]}}, "none that `kd export` wrote"),
        ({"input": {"channels": 3, "resized": 8, "size": 8, "mean": [0.1], "std": [1]}}, "a value for each of the 3 channels"),
        ({"input": {"channels": 1, "resized": 7, "size": 8, "mean": [0.1], "std": [1]}}, "`size` must not exceed `resized`, 7"),
    ):
        (folder / "export.json").write_text(json.dumps({**json.loads(stated), **change}))
        with pytest.raises(ExportError, match=message):
            description.read(folder)
    with pytest.raises(ExportError, match="is no export"):
        description.read(tmp_path)


def test_as_it_is_typed(world, tmp_path, monkeypatch, capsys):
    spec, _, _ = world
    monkeypatch.chdir(tmp_path)
    assert main(["export", spec.file, "resnet8/none/s0", "--format", "safetensors"]) == 0
    told = capsys.readouterr().out
    assert "wrote resnet8 · none · s0 to away-resnet8-none-s0/" in told
    assert "the same class as the original for 256, and what it said when tested for 256" in told
    Image.new("RGB", (20, 30)).save("image.png")
    assert main(["predict", "away-resnet8-none-s0", "image.png", "--top", "2"]) == 0
    assert capsys.readouterr().out.startswith("image.png  ")
    assert main(["predict", "away-resnet8-none-s0", "absent.png"]) == 2
    assert "absent.png cannot be read as an image" in capsys.readouterr().err
    assert main(["predict", ".", "image.png"]) == 2
    assert "is no export" in capsys.readouterr().err
    assert main(["export", spec.file, "resnet8/nine"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_a_damaged_entry_is_not_exported(world, tmp_path):
    spec, plan, store = world
    job, entry = best_of(find(plan.of("student"), "resnet8/none/s1"), store)
    path = entry.file("model.safetensors")
    kept = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        with pytest.raises(CorruptEntry, match="does not have its SHA-256"):
            export(spec, plan, store, job, entry, "safetensors", tmp_path / "student")
    finally:
        path.write_bytes(kept)
    assert not (tmp_path / "student").exists()
