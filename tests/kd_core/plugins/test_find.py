"""Where plugins are found; nothing of them is run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kd_core.plugins.find import installed, read
from kd_core.plugins.plugin import PluginError
from kd_core.plugins.run import load

BOOM = "raise RuntimeError('it was run')\n"


def package(folder: Path, **files: str) -> None:
    for name, text in {"__init__": "", **files}.items():
        path = folder / "own_package" / f"{name.replace('__sub__', 'sub/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_file_is_taken_from_the_first_folder_that_has_it(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(f"{BOOM}# {name}")
    found = read("mine.py", [tmp_path / "none", tmp_path / "two", tmp_path / "one"])
    assert found.files["mine.py"].endswith(b"# two")
    assert found.at == str(tmp_path / "two" / "mine.py")


def test_the_digest_is_of_the_content_alone(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("a = 1\n")
    (tmp_path / "one" / "other.py").write_text("a = 1\n")
    same = {
        read(file, [tmp_path / folder]).sha256 for folder, file in (("one", "mine.py"), ("two", "mine.py"), ("one", "other.py"))
    }
    assert same == {"cb78bd8a17f7b751fe0d4663366dcbc257204033ef7ddd64b1f2969573b5b2e2"}  # printf 'a = 1\\n' | sha256sum


def test_the_digest_of_a_package_changes_with_any_of_its_files(tmp_path):
    package(tmp_path, kd=BOOM, helper="x = 1", __sub__deep="y = 1")
    first = read("own_package.kd", [tmp_path])
    assert sorted(first.files) == [
        "own_package/__init__.py",
        "own_package/helper.py",
        "own_package/kd.py",
        "own_package/sub/deep.py",
    ]
    seen = {first.sha256}
    for changed in ("helper", "sub/deep", "__init__"):
        (tmp_path / "own_package" / f"{changed}.py").write_text(f"changed = '{changed}'")
        seen.add(read("own_package.kd", [tmp_path]).sha256)
    (tmp_path / "own_package" / "notes.txt").write_text("not Python")
    seen.add(read("own_package.kd", [tmp_path]).sha256)
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mine.py", "no such file (looked in"),
        ("folder.py", "cannot be read: Is a directory"),
        ("no_such_module", "no module of that name is beside the experiment, or installed"),
        ("own_package.nothing", "no module of that name"),
        ("a-b", "a plugin is a file that ends in .py, or a module's name"),
        ("", "a plugin is a file that ends in .py"),
        ("x\0.py", "cannot be read"),
    ],
)
def test_what_is_not_there(tmp_path, name, problem):
    package(tmp_path)
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(PluginError) as caught:
        read(name, [tmp_path])
    assert problem in str(caught.value)


def test_what_an_installed_package_announces(tmp_path, monkeypatch):
    """By the entry-point group; a package that is not beside the experiment is found where it is installed."""
    package(tmp_path, kd="METHODS = {}\n")
    info = tmp_path / "own_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[kd.plugins]\nown = own_package.kd\n\n[console_scripts]\nother = own_package:main\n"
    )
    assert installed() == []
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert installed() == ["own_package.kd"]
        assert load(read("own_package.kd")).METHODS == {}
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "own_package"]:
            del sys.modules[name]
