"""Checks of what a run needs. Each is ok, or says what to do."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import threading
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from kd_core.data.place import Place
from kd_core.data.table import DataConfig
from orchestrator.executors.executor import CannotRun
from orchestrator.executors.runtimes import Runtimes
from orchestrator.experiment.spec import Spec
from orchestrator.planning.plan import make
from orchestrator.planning.schedule import processors
from orchestrator.store.errors import StoreError, StoreFailed
from orchestrator.store.store import Store

PROJECT = "kd-orchestrator"
LEAST_FREE = 2**30  # bytes; a store of small networks takes as much


@dataclass(frozen=True)
class Check:
    """What was found, and where it is not ``ok`` what to do."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


WAITS = {
    "devices": "torch is imported",
    "torchvision": "it is imported",
    "weights": "files are read and tried on their networks",
    "store": "it is written to",
    "ray": "a private cluster starts, and a worker of it",
    "mlflow": "the tracking server or its database is asked",
}  # what a check takes its time for


def begin(spec: Spec) -> dict[str, Future[Check]]:
    """All checks of what this experiment needs, by their names; all of them are at work from now on."""
    made: dict[str, Callable[[], Check]] = {
        "versions": versions,
        "devices": devices,
        "torchvision": torchvision,
        "store": lambda: writable(Store(spec.store)),
        "ray": ray,
        "mlflow": lambda: mlflow(spec),
    }
    if any(teacher.weights for teacher in spec.teachers):
        made["weights"] = lambda: weights(spec)
    found: dict[str, Future[Check]] = {name: Future() for name in made}

    def answer(names: Sequence[str]) -> None:
        for name in names:
            try:
                found[name].set_result(made[name]())
            except Exception as error:
                remedy = "install the project again: make setup" if isinstance(error, ImportError) else ""
                found[name].set_result(Check(name, False, f"{type(error).__name__}: {error}", remedy))

    slow = {"ray", "mlflow"}
    for names in ([name for name in made if name not in slow], *([name] for name in slow)):
        threading.Thread(target=answer, args=[names], daemon=True).start()
    return found


def bare(store: str) -> Spec:
    """An experiment of nothing but defaults."""
    data = DataConfig("digits").resolved()
    return Spec("kd", "", store, data, place=Place(), teachers=(), probes=None, students=())


def versions() -> Check:
    """Python and the packages that the project requires."""
    from packaging.requirements import Requirement

    wrong, right = [], [f"python {platform.python_version()}"]
    for text in requirements():
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append((f"{requirement.name} is missing", text))
            continue
        if requirement.specifier.contains(found, prereleases=True):
            right.append(f"{requirement.name} {found}")
        else:
            wrong.append((f"{requirement.name} is {found}, not {requirement.specifier}", text))
    if wrong:
        needed = " ".join(f"'{text}'" for _, text in wrong)
        return Check("versions", False, ", ".join(problem for problem, _ in wrong), f"pip install {needed}")
    return Check("versions", True, ", ".join(right))


def requirements() -> list[str]:
    """The project's requirements: of the installed package, or of the checkout that this is."""
    try:
        return importlib.metadata.requires(PROJECT) or []
    except importlib.metadata.PackageNotFoundError:
        checkout = Path(__file__).parents[2] / "pyproject.toml"
        needed: list[str] = tomllib.loads(checkout.read_text())["project"]["dependencies"]
        return needed


def devices() -> Check:
    """Processors, and the GPUs that torch can use."""
    import torch

    cores = f"{processors()} CPU cores"
    if torch.cuda.is_available():
        found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        named = ", ".join(f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in found)
        return Check("devices", True, f"{cores}; {named}{'; MPS is on' if mps() else ''}")
    if any(Path("/dev").glob("nvidia[0-9]*")):
        remedy = "install a CUDA build of torch that fits the driver: https://pytorch.org/get-started"
        return Check("devices", False, f"{cores}; an NVIDIA device that torch {torch.__version__} cannot use", remedy)
    return Check("devices", True, f"{cores}; no GPU, so networks train on the CPU")


def mps() -> bool:
    """Whether NVIDIA's MPS daemon is there for this process, so that jobs that share a GPU compute at once: by its pipe, where
    CUDA itself looks for it."""
    return Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps", "control").exists()


def torchvision() -> Check:
    """Whether torchvision can be imported beside this torch."""
    import kd_core.vision

    return Check("torchvision", True, f"imports, with {len(kd_core.vision.models.list_models())} models")


def writable(store: Store) -> Check:
    """Whether the store can be written, and how much room it has. A store that is not there yet is not made."""
    remedy = "choose another place: `store:` in the file, or --store PLACE"
    if store.root is None:
        try:
            store.prepare()
        except (StoreError, StoreFailed) as error:
            return Check("store", False, str(error), remedy)
        return Check("store", True, f"{store.location} answers and can be written")
    nearest = next(folder for folder in (store.root, *store.root.parents) if folder.exists())
    try:
        if nearest == store.root:
            store.prepare()
    except StoreError as error:
        return Check("store", False, str(error), remedy)
    if not os.access(nearest, os.W_OK) or not nearest.is_dir():
        return Check("store", False, f"{store.root} cannot be made in {nearest}", remedy)
    free = shutil.disk_usage(nearest).free
    state = "can be written" if nearest == store.root else "will be made"
    found = f"{store.root} {state}, {free / 2**30:.1f} GiB free"
    return Check("store", free >= LEAST_FREE, found, "" if free >= LEAST_FREE else f"make room; {remedy}")


def weights(spec: Spec) -> Check:
    """Whether the files of given weights are those of their networks."""
    from orchestrator.stages.given_weights import tried

    given = [job for job in make(spec).of("teacher") if "weights" in job.config]
    notes, problems = tried(given, Runtimes.of(spec, spec.store).weights_of)
    told = "; ".join([*problems, *notes]) or f"{', '.join(job.title for job in given)}: every tensor fits"
    return Check("weights", not problems, told, "give a file of that architecture and those classes")


def ray() -> Check:
    """Whether a private cluster starts and one of its workers answers."""
    from orchestrator.executors.ray.cluster import answer_s

    try:
        seconds = answer_s()
    except CannotRun as error:
        told, _, remedy = str(error).partition("; ")
        return Check("ray", False, told, remedy)
    return Check("ray", True, f"a cluster started, and a worker that has the project answered in {seconds:.1f} s")


def mlflow(spec: Spec) -> Check:
    """Whether the tracking server or database can be used."""
    from orchestrator.tracking.check import check
    from orchestrator.tracking.failure import TrackingError

    if not spec.tracking.enabled:
        return Check("mlflow", True, "switched off by `tracking.enabled`")
    try:
        return Check("mlflow", True, check(spec))
    except TrackingError as error:
        remedy = (
            "see that it is up and that `tracking.uri` names it; a database of an older MLflow needs `mlflow db upgrade URI`"
        )
        return Check("mlflow", False, str(error), remedy)
