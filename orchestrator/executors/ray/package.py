"""What `kd submit` sends to a cluster: the experiment's file, the weights that it names, and this code.

The job runs in the folder that is sent, so a relative path in the YAML names the same file there as here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import kd_core
import orchestrator
from kd_core.plugins.tables import known
from orchestrator.experiment.load import load, read_changed
from orchestrator.experiment.problems import Path as YamlPath
from orchestrator.experiment.problems import Problem, SpecError
from orchestrator.experiment.spec import Spec, other_data

PACKAGES = (kd_core, orchestrator)
LARGEST = 400 * 2**20  # bytes of weights; Ray takes packages of 512 MiB
WITHOUT_FILES = ("digits", "synthetic")  # data sets that lie nowhere
HERE = "of this machine, which the cluster's nodes do not share"


def checked(file: str, assignments: Sequence[str], store: str | None) -> Spec:
    """The experiment, where it can be run as it is on other machines.

    Raises:
        SpecError: with every mistake in it; or else with every path in it that means nothing elsewhere.
    """
    spec = load(file, assignments, store)
    document = read_changed(file, assignments, store)
    if found := [Problem(document.location(path), path, message) for path, message in local_paths(spec)]:
        raise SpecError(found)
    return spec


def local_paths(spec: Spec) -> Iterator[tuple[YamlPath, str]]:
    """Fields that name a place of this machine alone, and what is to be there instead."""
    if _relative(spec.store):
        yield ("store",), f"{spec.store!r} is a folder {HERE}: give an absolute path that they share, or s3://bucket/folder"
    data = [spec.data, *(data for asked in spec.evaluations for data in other_data(asked.config).values())]
    if any(config.name not in WITHOUT_FILES for config in data) and _relative(spec.data_root):
        yield ("data", "root"), f"{spec.data_root!r} is a folder {HERE}: give an absolute path that each of them has"
    scheme, _, path = (spec.tracking.uri or "").partition(":///")
    if scheme.startswith("sqlite") and _relative(path):
        yield ("tracking", "uri"), f"{spec.tracking.uri!r} is a file {HERE}: name an MLflow server, or leave it out"
    for plugin in spec.plugins:
        if plugin.name.startswith("/") or ".." in PurePath(plugin.name).parts:
            yield ("plugins",), f"{plugin.name!r} lies outside of this folder, which is what is sent: give a path in it"
    sent = _weights(spec)
    for file in sent:
        if ".." in PurePath(file).parts:
            yield ("teachers",), f"weights: {file!r} lies outside of this folder, which is what is sent: give a path in it"
    if sum(Path(file).stat().st_size for file in sent) > LARGEST:
        asked = "are more than can be sent: put them where every node sees them, and give that absolute path"
        yield ("teachers",), f"weights: {', '.join(sent)} {asked}"


def pack(spec: Spec, folder: Path) -> str:
    """Copy what the job needs into a folder. Returns the experiment's file in it."""
    for package in PACKAGES:
        [source] = package.__path__
        shutil.copytree(source, folder / package.__name__, ignore=shutil.ignore_patterns("__pycache__"))
    written = PurePath(spec.file)
    name = str(written.name if written.is_absolute() or ".." in written.parts else written)
    for source, target in ((spec.file, name), *((file, file) for file in _weights(spec))):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / target)
    for plugin in spec.plugins:
        for path, content in known(plugin.sha256).files.items():
            there = folder / (plugin.name if known(plugin.sha256).is_file else path)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(content)
    return name


def _weights(spec: Spec) -> list[str]:
    """Files of given weights that go along: those that are named by where the command is given."""
    named = {teacher.weights.file for teacher in spec.teachers if teacher.weights}
    return sorted(file for file in named if file and _relative(file))


def _relative(path: str) -> bool:
    return "://" not in path and not path.startswith("/")
