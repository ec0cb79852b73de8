"""Programs of torch.export: what they say, and what is not opened."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
from torch import nn

from kd_core.deploy import Classifier, Deployed
from kd_core.models.table import build
from orchestrator.export import program
from orchestrator.export.description import ExportError
from orchestrator.export.formats import FORMATS
from tests.support import small

ABOUT = None  # a program needs no description to be read


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "model.pt2"
    student = Deployed(Classifier(small.network()), (0.3,), (0.2,)).eval()
    program.save(student, small.splits().test.images_NCHW, path)
    return student, path


class Wayward(nn.Module):
    """Goes another way by what is in the image."""

    def forward(self, images_BCHW):
        if images_BCHW.sum() > 3:
            return images_BCHW.float().flatten(1)
        return -images_BCHW.float().flatten(1)


@pytest.mark.parametrize("format", ["torch-export", "onnx"])
def test_a_network_that_cannot_be_traced_is_refused_in_a_sentence(tmp_path, format):
    for module in FORMATS[format].needs:
        pytest.importorskip(module)
    with pytest.raises(ExportError) as refused:
        FORMATS[format].save(Wayward(), torch.zeros(2, 1, 4, 4, dtype=torch.uint8), tmp_path / "model")
    assert str(refused.value).startswith("torch.export cannot trace this network into model: Could not guard on data-dependent")
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith("--format safetensors takes any whose code is at hand")


def rewritten(path, folder, change):
    """A copy of an archive in which ``change`` has been at its files, by name without the first folder."""
    with zipfile.ZipFile(path) as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(files)
    made = folder / "changed.pt2"
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"x/{name}", content)
    return made


def in_json(file, change):
    def changed(files):
        value = json.loads(files[file])
        change(value)
        files[file] = json.dumps(value).encode()

    return changed


def first_node(model):
    return model["graph_module"]["graph"]["nodes"][0]


def a_size(model, text):
    values = model["graph_module"]["graph"]["tensor_values"].values()
    size = next(size for value in values for size in value["sizes"] if "as_expr" in size)
    size["as_expr"]["expr_str"] = text


def pickled(config):
    next(iter(config["config"].values()))["use_pickle"] = True


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_number_of_images(written, batch):
    student, path = written
    images = small.splits().test.images_NCHW[:batch]
    torch.testing.assert_close(program.load(path, ABOUT)(images), student(images).detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("model", ["shufflenet_v1", "mobilenet_v2", "vgg8"])
def test_other_networks_are_opened_too(tmp_path, model):
    student = Deployed(Classifier(build(model, channels=3, classes=5)), (0.5,) * 3, (0.2,) * 3).eval()
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    program.save(student, images, tmp_path / "model.pt2")
    torch.testing.assert_close(program.load(tmp_path / "model.pt2", ABOUT)(images), student(images).detach())


def test_no_path_of_this_machine_is_told(written):
    _, path = written
    with zipfile.ZipFile(path) as archive:
        assert b"kd_core" not in b"".join(archive.read(name) for name in archive.namelist())


CODE = "__import__('os').system('true')"
STRANGE = {
    "a pickle": in_json(program.CONFIGS[0], pickled),
    "pickled inputs": lambda files: files.update({program.INPUTS: b"\x80\x04."}),
    "a file 'data/weights/model.pt'": lambda files: files.update({"data/weights/model.pt": b"\x80\x04."}),
    "a file 'data/aotinductor/model/x.so'": lambda files: files.update({"data/aotinductor/model/x.so": b"\x7fELF"}),
    "a file 'data/constants/opaque_obj_0'": lambda files: files.update({"data/constants/opaque_obj_0": b""}),
    "the operator": in_json(program.MODEL, lambda model: first_node(model).update(target="torch.load")),
    "the operator '_operator.methodcaller'": in_json(
        program.MODEL, lambda model: first_node(model).update(target="_operator.methodcaller")
    ),
    "the expression": in_json(program.MODEL, lambda model: a_size(model, CODE)),
    "the expression \"Symbol('x')": in_json(program.MODEL, lambda model: a_size(model, "Symbol('x').func")),
    "guards_code": in_json(program.MODEL, lambda model: model["graph_module"].update(guards_code=[CODE])),
    "metadata": in_json(program.MODEL, lambda model: first_node(model).update(metadata={"custom": CODE})),
    "arguments of a type of their own": in_json(
        program.MODEL,
        lambda model: model["graph_module"]["module_call_graph"][0]["signature"].update(
            in_spec='[1, {"type": "collections.defaultdict", "context": "{}", "children_spec": []}]'
        ),
    ),
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_no_program_of_ours_holds_is_not_opened(written, tmp_path, monkeypatch, what):
    _, path = written
    monkeypatch.setattr("torch.export.load", lambda *_: pytest.fail("opened"))
    with pytest.raises(ExportError, match="is not opened: it holds") as refused:
        program.load(rewritten(path, tmp_path, STRANGE[what]), ABOUT)
    assert what in str(refused.value)


def test_an_archive_within_an_archive_is_not_opened(written, tmp_path, monkeypatch):
    _, path = written
    made = rewritten(path, tmp_path, lambda files: None)
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("y/models/model.json", "{}")
    monkeypatch.setattr("torch.export.load", lambda *_: pytest.fail("opened"))
    with pytest.raises(ExportError, match="files of several archives"):
        program.load(made, ABOUT)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive at all"])
def test_a_damaged_file(tmp_path, content):
    (tmp_path / "model.pt2").write_bytes(content)
    with pytest.raises(ExportError, match="cannot be read as a program"):
        program.load(tmp_path / "model.pt2", ABOUT)


def test_a_rewritten_archive_is_read_where_nothing_was_changed(written, tmp_path):
    """So what is refused above is refused for its content."""
    student, path = written
    images = small.splits().test.images_NCHW[:3]
    same = rewritten(path, tmp_path, lambda files: None)
    torch.testing.assert_close(program.load(same, ABOUT)(images), student(images).detach(), rtol=0, atol=1e-6)
    assert isinstance(student, nn.Module)
