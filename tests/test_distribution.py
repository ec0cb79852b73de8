"""What is given away: a wheel that holds what it must and nothing else, typed; and files of one version."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("kd_core", "orchestrator")
SOURCES = {
    str(path.relative_to(ROOT))
    for package in PACKAGES
    for path in (ROOT / package).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
IMAGE = re.compile(r"\bkd:(\d+\.\d+\.\d+)")
ASKS = """
from kd_core.knobs import Bounds

reveal_type(Bounds(low=0).allow(1))
Bounds(lowest=0)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """What ``python -m build`` leaves: an sdist, and the wheel made of it. It is run in a copy, where no earlier build lies."""
    copy, into = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, copy / name)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", into, copy]
    made = subprocess.run(build, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return into


@pytest.fixture
def wheel(built) -> Path:
    [found] = built.glob("*.whl")
    return found


@pytest.fixture
def fresh(wheel, tmp_path):
    """The site-packages of an environment that has the wheel and nothing else, and its interpreter."""
    venv.create(tmp_path / "fresh", with_pip=False, symlinks=True)
    [packages] = (tmp_path / "fresh").glob("lib/python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", packages, wheel]
    subprocess.run(install, check=True, capture_output=True)
    return packages, tmp_path / "fresh/bin/python"


def mypy(folder: Path, interpreter: Path) -> str:
    """What mypy says of a file outside of the tree that asks for our types."""
    (folder / "asks.py").write_text(ASKS)
    (folder / "mypy.ini").write_text("[mypy]\n")
    command = [sys.executable, "-m", "mypy", "--python-executable", interpreter, "asks.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300).stdout


def test_the_wheel_holds_all_of_the_packages_and_nothing_else(wheel):
    assert {f"{package}/py.typed" for package in PACKAGES} < SOURCES
    assert any(name.endswith(".j2") for name in SOURCES)
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in held if ".dist-info/" not in name} == SOURCES
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_sdist_holds_no_tests_and_no_caches(built):
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert held > SOURCES | {"pyproject.toml", "README.md", "LICENSE"}
    assert not [name for name in held if name.startswith("tests") or "__pycache__" in name]


def test_who_installs_the_wheel_has_its_types(fresh, tmp_path):
    said = mypy(tmp_path, fresh[1])
    assert 'asks.py:4: note: Revealed type is "bool"' in said
    assert 'asks.py:5: error: Unexpected keyword argument "lowest" for "Bounds"' in said
    assert "Found 1 error in 1 file" in said


def test_without_py_typed_there_would_be_none(fresh, tmp_path):
    packages, interpreter = fresh
    (packages / "kd_core/py.typed").unlink()
    said = mypy(tmp_path, interpreter)
    assert "missing library stubs or py.typed marker" in said
    assert 'Revealed type is "Any"' in said


def test_every_file_that_names_the_version_names_the_same():
    version = PROJECT["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version
    files = [path for path in (ROOT / "docker").rglob("*") if path.is_file() and path.name != ".env"]
    images = [image for file in files for image in IMAGE.findall(file.read_text())]
    assert images
    assert set(images) == {version}


def test_ray_and_mlflow_end_before_a_major_version_that_nobody_has_tried():
    constrained = (ROOT / "constraints.txt").read_text()
    for name in ("ray", "mlflow"):
        tested = re.search(rf"^{name}==(\d+)", constrained, re.MULTILINE)
        assert tested is not None
        extras = sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
        bounds = [text for text in extras if re.match(rf"{name}\b", text)]
        assert bounds
        assert all(text.endswith(f",<{int(tested[1]) + 1}") for text in bounds), bounds


@pytest.mark.parametrize("name", [*PROJECT["optional-dependencies"]["dev"], *PROJECT["dependencies"]])
def test_what_is_required_is_pinned(name):
    project = re.match(r"[A-Za-z0-9._-]+", name)
    assert project is not None
    normal = re.compile("[-_.]+").sub("-", project[0]).lower()
    pins = {re.sub("[-_.]+", "-", line.partition("==")[0]).lower() for line in (ROOT / "constraints.txt").read_text().split()}
    assert normal in pins | {PROJECT["name"]}
