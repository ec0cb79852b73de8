"""What is sent to a cluster, and what must be said before anything is."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from kd_core.plugins.tables import use
from orchestrator.cli.app import main
from orchestrator.executors.ray import package
from orchestrator.experiment.problems import SpecError
from tests.support.paths import ROOT
from tests.support.plugin_files import METHOD

HEAD = """\
name: far
store: {store}
data: {{name: {data}, root: {root}}}
"""
PLAIN = "teachers: {models: resnet8}\n"  # line 4
GIVEN = "teachers: {{models: resnet8, weights: {weights}}}\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder that the command is given in, with weights and an experiment in folders below it."""
    folder = tmp_path / "here"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights/a.safetensors").write_bytes(b"a")
    (tmp_path / "outside.pth").write_bytes(b"b")
    (folder / "experiments").mkdir()
    monkeypatch.chdir(folder)

    def write(store="/shared/store", data="digits", root="data", weights=None, more=""):
        text = HEAD.format(store=store, data=data, root=root)
        text += GIVEN.format(weights=weights) if weights else PLAIN
        (folder / "experiments/far.yaml").write_text(text + more)
        return "experiments/far.yaml"

    return write


@pytest.mark.parametrize("store", ["/shared/store", "s3://bucket/store"])
def test_places_that_all_nodes_share_may_be_named(here, store):
    assert package.checked(here(store=store, data="cifar100", root="/shared/data"), (), None).store == store


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"store": "kd-store"}, "experiments/far.yaml:2: store: 'kd-store' is a folder of this machine"),
        ({"store": "~/store"}, "experiments/far.yaml:2: store: '~/store' is a folder of this machine"),
        ({"data": "cifar100"}, "experiments/far.yaml:3: data.root: 'data' is a folder of this machine"),
        (
            {
                "data": "synthetic",
                "more": "evaluations: {transfer: {data: {name: cifar10}}}\nstudents: {models: resnet8, methods: none}\n",
            },
            "experiments/far.yaml:3: data.root: 'data' is a folder of this machine",
        ),
        (
            {"more": "tracking: {uri: 'sqlite:///mlflow.db'}\n"},
            "experiments/far.yaml:5: tracking.uri: 'sqlite:///mlflow.db' is a file of this machine",
        ),
        (
            {"weights": "../outside.pth"},
            "experiments/far.yaml:4: teachers: weights: '../outside.pth' lies outside of this folder",
        ),
    ],
)
def test_places_of_this_machine_are_refused_with_their_line(here, written, expected):
    with pytest.raises(SpecError) as error:
        package.checked(here(**written), (), None)
    assert str(error.value).startswith(expected)
    assert "\n" not in str(error.value)


def test_options_replace_what_the_file_says_and_are_named_themselves(here):
    file = here(store="kd-store")
    assert package.checked(file, (), "/shared/store").store == "/shared/store"
    with pytest.raises(SpecError, match=r"^--store mine: store: 'mine' is a folder"):
        package.checked(file, (), "mine")
    with pytest.raises(SpecError, match=r"^--set store=mine: store: 'mine' is a folder"):
        package.checked(here(), ("store=mine",), None)


def test_a_mistake_in_the_file_comes_before_what_cannot_travel(here):
    with pytest.raises(SpecError) as error:
        package.checked(here(store="kd-store", more="probes: {C: -1}\n"), (), None)
    assert "probes.C" in str(error.value)
    assert "store" not in str(error.value)


def test_weights_beside_the_yaml_go_under_the_name_that_it_has_for_them(here, tmp_path):
    (Path("experiments") / "b.safetensors").write_bytes(b"b")
    _, sent = package.contents(package.checked(here(weights="b.safetensors"), (), None))
    assert sent["b.safetensors"] == Path("experiments/b.safetensors")


def test_weights_that_are_too_large_are_refused(here, monkeypatch):
    monkeypatch.setattr(package, "LARGEST", 0)
    with pytest.raises(SpecError, match=r"far.yaml:4: teachers: weights: weights/a.safetensors are more than can be sent"):
        package.checked(here(weights="weights/a.safetensors"), (), None)


def test_the_package_holds_the_code_the_file_and_the_weights_and_nothing_else(here, tmp_path):
    spec = package.checked(here(weights="weights/a.safetensors"), (), None)
    folder = tmp_path / "package"
    folder.mkdir()
    assert package.pack(spec, folder) == "experiments/far.yaml"
    assert sorted(path.name for path in folder.iterdir()) == ["experiments", "kd_core", "orchestrator", "weights"]
    assert (folder / "weights/a.safetensors").read_bytes() == b"a"
    assert not list(folder.rglob("__pycache__"))
    ran = subprocess.run(
        [sys.executable, "-c", "import orchestrator, kd_core; print(orchestrator.__file__, kd_core.__file__)"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.split() == [str(folder / name / "__init__.py") for name in ("orchestrator", "kd_core")]


def test_a_file_from_elsewhere_is_sent_by_its_name(here, tmp_path):
    file = tmp_path / "here" / here()
    folder = tmp_path / "package"
    folder.mkdir()
    assert package.pack(package.checked(str(file), (), None), folder) == "far.yaml"
    assert (folder / "far.yaml").read_text() == file.read_text()


def test_a_plugin_goes_along(here, tmp_path):
    (tmp_path / "experiments").mkdir(exist_ok=True)
    file = Path(here(store="/shared/store", more="plugins: [own.py]\n"))
    (file.parent / "own.py").write_text(METHOD)
    spec = package.checked(str(file), (), None)
    folder = tmp_path / "sent"
    package.pack(spec, folder)
    assert [path.read_text() for path in folder.glob("**/own.py")] == [METHOD]
    use([])


def test_links_that_leave_the_folder_are_refused(here, tmp_path):
    """Whatever they lead to would lie in the cluster's storage afterwards."""
    Path("weights/link.safetensors").symlink_to(tmp_path / "outside.pth")
    with pytest.raises(
        SpecError, match=r"far.yaml:4: teachers: weights: 'weights/link.safetensors' lies outside of this folder"
    ):
        package.checked(here(weights="weights/link.safetensors"), (), None)
    (tmp_path / "outside.py").write_text(METHOD)
    Path("experiments/own.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(SpecError, match=r"far.yaml:5: plugins.*: 'own.py' lies outside of this folder"):
        package.checked(here(more="plugins: [own.py]\n"), (), None)
    use([])
    Path("weights/inside.safetensors").symlink_to("a.safetensors")
    package.checked(here(weights="weights/inside.safetensors"), (), None)


def test_of_the_code_only_what_a_wheel_holds_is_sent(here, tmp_path, monkeypatch):
    code = tmp_path / "kd_core"
    for name in ("__init__.py", "deep/module.py", "deep/page.md.j2", "py.typed"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text("sent")
    for name in (".env", "core.1234", "credentials.json", ".git/config", "__pycache__/a.py", "notes.txt", "a.py.swp"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text("secret")
    monkeypatch.setattr(package, "PACKAGES", [types.SimpleNamespace(__name__="kd_core", __path__=[str(code)])])
    spec = package.checked(here(), (), None)
    name, found = package.contents(spec)
    assert name == "experiments/far.yaml"
    assert sorted(found) == [
        name,
        *(f"kd_core/{each}" for each in ("__init__.py", "deep/module.py", "deep/page.md.j2", "py.typed")),
    ]
    (code / "ssl").symlink_to("/etc/ssl")
    with pytest.raises(package.CannotSend, match="ssl is a link that leads out of"):
        package.contents(spec)


def test_what_is_sent_of_the_code_is_what_git_has_of_it():
    listed = subprocess.run(
        ["git", "ls-files", "kd_core", "orchestrator"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    spec = types.SimpleNamespace(plugins=(), teachers=(), file="x.yaml")
    _, found = package.contents(spec)
    assert {name for name in listed.stdout.split() if (ROOT / name).exists()} <= found.keys()


def test_what_would_be_sent_is_shown(here, capsys):
    assert main(["submit", here(weights="weights/a.safetensors"), "--dry-run"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [
        "what",
        "kd_core/",
        "orchestrator/",
        "weights/a.safetensors",
        "experiments/far.yaml",
        "in",
    ]
    assert rows[3][1:] == ["1", "1", "B"]
    assert main(["submit", "--follow", "kd-x", "--dry-run"]) == 2
