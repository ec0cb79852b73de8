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
CODE = (".py", ".j2", ".js", ".typed", ".csv")  # suffixes of what our packages consist of
HERE = "of this machine, which the cluster's nodes do not share"


class CannotSend(ValueError):
    """Something that would be sent must not be."""


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
    if any(config.name not in WITHOUT_FILES for config in data) and _relative(spec.place.root):
        yield ("data", "root"), f"{spec.place.root!r} is a folder {HERE}: give an absolute path that each of them has"
    scheme, _, path = (spec.tracking.uri or "").partition(":///")
    if scheme.startswith("sqlite") and _relative(path):
        yield ("tracking", "uri"), f"{spec.tracking.uri!r} is a file {HERE}: name an MLflow server, or leave it out"
    for plugin in spec.plugins:
        parts, found = PurePath(plugin.name).parts, Path(known(plugin.sha256).at)
        linked = known(plugin.sha256).is_file and _leads_out(found, found.parents[len(parts) - 1])
        if plugin.name.startswith("/") or ".." in parts or linked:
            yield ("plugins",), f"{plugin.name!r} lies outside of this folder, which is what is sent: give a path in it"
    sent = _weights(spec)
    gone = [name for name, file in sent.items() if not file.exists()]
    for name, file in sent.items():
        if name in gone:
            yield ("teachers",), f"weights: {name!r} is not here any more"
        elif _leads_out(file, Path()) or ".." in PurePath(name).parts:
            lies = f"lies outside of this folder ({file.resolve()}), which is what is sent"
            yield ("teachers",), f"weights: {name!r} {lies}: give a path in it, or one that all nodes have"
    if sum(file.stat().st_size for name, file in sent.items() if name not in gone) > LARGEST:
        asked = "are more than can be sent: put them where every node sees them, and give that absolute path"
        yield ("teachers",), f"weights: {', '.join(sent)} {asked}"


def contents(spec: Spec) -> tuple[str, dict[str, Path | bytes]]:
    """What the job needs, by the names that it is sent under: files of this machine, and content that was read already. Before
    it the experiment's own name among them.

    Raises:
        CannotSend: where a link in the code leads out of it.
    """
    found: dict[str, Path | bytes] = {}
    for package in PACKAGES:
        [source] = package.__path__
        found |= {f"{package.__name__}/{name}": path for name, path in _code(Path(source)).items()}
    for plugin in map(known, (plugin.sha256 for plugin in spec.plugins)):
        found |= {plugin.name if plugin.is_file else path: content for path, content in plugin.files.items()}
    found |= _weights(spec)
    written = PurePath(spec.file)
    name = str(written.name if written.is_absolute() or ".." in written.parts else written)
    return name, {**found, name: Path(spec.file)}


def pack(spec: Spec, folder: Path) -> str:
    """Copy what the job needs into a folder. Returns the experiment's file in it.

    Raises:
        CannotSend: from :func:`contents`.
    """
    name, found = contents(spec)
    for target, source in found.items():
        there = folder / target
        there.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            there.write_bytes(source)
        else:
            shutil.copyfile(source, there)
    return name


def _code(package: Path) -> dict[str, Path]:
    """The files of a package that a wheel of it has, by their names below it: nothing else that may lie there goes anywhere."""
    found = {}
    for path in sorted(package.rglob("*")):
        if path.is_symlink() and not path.resolve().is_relative_to(package.resolve()):
            raise CannotSend(f"{path} is a link that leads out of {package} (to {path.resolve()}): nothing is sent through it")
        if path.suffix in CODE and path.is_file() and "__pycache__" not in path.parts:
            found[path.relative_to(package).as_posix()] = path
    return found


def _weights(spec: Spec) -> dict[str, Path]:
    """Files of given weights that go along, by the names that the YAML has for them: those that are no place of the machine."""
    given = [teacher.weights for teacher in spec.teachers if teacher.weights]
    return {
        weights.written: Path(weights.file)
        for weights in sorted(given, key=lambda weights: str(weights.written))
        if weights.written and weights.file and _relative(weights.written)
    }


def _relative(path: str) -> bool:
    return "://" not in path and not path.startswith("/")


def _leads_out(file: Path, folder: Path) -> bool:
    """Whether a file, links followed, lies outside of a folder."""
    return not file.resolve().is_relative_to(folder.resolve())
