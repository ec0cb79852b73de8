"""The floors of the house are held: what is forbidden is found wherever it is written."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LINT = Path(sys.executable).with_name("lint-imports")
EXTERNAL = {  # a library, and the room that alone may import it
    "ray": ("orchestrator/executors/ray",),
    "mlflow": ("orchestrator/tracking",),
    "optuna": ("orchestrator/search",),
    "matplotlib": ("orchestrator/report",),
    "typer": ("orchestrator/cli",),
    "rich": ("orchestrator/cli", "orchestrator/report"),
    "pydantic": ("orchestrator/experiment",),
}
FLOORS = ["cli", "driver", "tracking", "report", "executors", "planning", "stages", "search", "experiment", "store", "jobs"]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the packages, to be spoilt."""
    for package in ("kd_core", "orchestrator"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(house: Path) -> tuple[bool, str]:
    """Whether all contracts are kept, and what was said."""
    done = subprocess.run(
        [LINT, "--config", "pyproject.toml", "--no-cache"], cwd=house, capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode == 0, " ".join((done.stdout + done.stderr).split())  # it breaks long lines


def modules(house: Path) -> list[Path]:
    return sorted(path for path in house.rglob("*.py") if path.name != "__init__.py")


def name_of(house: Path, path: Path) -> str:
    return ".".join(path.relative_to(house).with_suffix("").parts)


def test_the_house_as_it_stands(house):
    kept, said = lint(house)
    assert kept, said


@pytest.mark.parametrize("library", EXTERNAL)
def test_a_library_outside_of_its_room_is_found_in_every_module(house, library):
    """In all modules at once: each must be named, since each breaks the contract by itself."""
    room = tuple(f"{house / name}/" for name in EXTERNAL[library])
    spoilt = [path for path in modules(house) if not str(path).startswith(room)]
    for path in spoilt:
        path.write_text(f"{path.read_text()}\n\ndef _late() -> None:\n    import {library}\n")
    kept, said = lint(house)
    assert not kept
    for path in spoilt:
        assert f"{name_of(house, path)} -> {library} " in said, path


@pytest.mark.parametrize(("above", "below"), itertools.pairwise(FLOORS))
def test_an_import_of_the_floor_above_is_found(house, above, below):
    upper = next(path for path in modules(house) if name_of(house, path).startswith(f"orchestrator.{above}"))
    lower = next(path for path in modules(house) if name_of(house, path).startswith(f"orchestrator.{below}"))
    lower.write_text(f"{lower.read_text()}\nimport {name_of(house, upper)}\n")
    kept, said = lint(house)
    assert not kept
    assert f"{name_of(house, lower)} -> {name_of(house, upper)}" in said


@pytest.mark.parametrize(
    "room",
    [
        "orchestrator",
        "orchestrator/executors",
        "orchestrator/executors/ray",
        "orchestrator/report",
        "orchestrator/store",
        "kd_core",
    ],
)
def test_a_module_without_a_floor_is_found(house, room):
    (house / room / "attic.py").write_text("")
    kept, said = lint(house)
    assert not kept
    assert "attic" in said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kd_core.models.info", "kd_core.models.table"),
        ("orchestrator.cli.options", "orchestrator.cli.plan"),
        ("orchestrator.executors.ray.auth", "orchestrator.executors.ray.submission"),
    ],
)
def test_two_modules_of_a_room_that_import_each_other_are_found(house, one, other):
    """Also where the one does it late, inside a function, which works and therefore stays."""
    for this, that in ((one, other), (other, one)):
        path = house / f"{this.replace('.', '/')}.py"
        path.write_text(f"{path.read_text()}\n\ndef _late() -> None:\n    import {that}\n")
    kept, said = lint(house)
    assert not kept
    assert "no circles, also of imports inside functions BROKEN" in said
