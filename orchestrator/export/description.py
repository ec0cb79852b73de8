"""What lies in a folder that a student was exported to, and what is known of it: ``export.json``, written and read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from orchestrator.jobs.visible import visible
from orchestrator.store.files import json_bytes, sha256

FILE = "export.json"
CARD = "README.md"

Positive = Annotated[float, msgspec.Meta(gt=0)]
Size = Annotated[int, msgspec.Meta(ge=1)]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[^./][^/]*\Z")]  # never a path


class ExportError(ValueError):
    """A folder holds no export, or one that cannot be used; or a student cannot be exported so."""


@contextlib.contextmanager
def traced(file: Path) -> Iterator[None]:
    """Where torch cannot trace a network, as one of a plugin whose way depends on the image, an ExportError says why."""
    try:
        yield
    except (OSError, ImportError):
        raise
    except Exception as error:  # torch's own, of many kinds
        cause: BaseException = error
        while cause.__cause__:  # the first of them names what it is about
            cause = cause.__cause__
        said = visible(next(filter(None, str(cause).splitlines()), type(cause).__name__))
        raise ExportError(
            f"torch.export cannot trace this network into {file.name}: {said}; "
            "--format safetensors takes any whose code is at hand"
        ) from None


class Input(msgspec.Struct, frozen=True):
    """What the student sees of an image: scaled so that its shorter side is ``resized``, the middle ``size`` × ``size``,
    uint8 of so many channels. The export scales it to 0..1, subtracts the mean of its channel and divides by the deviation."""

    channels: Annotated[int, msgspec.Meta(ge=1, le=4)]
    resized: Size
    size: Size
    mean: list[float]
    std: list[Positive]


class Cost(msgspec.Struct, frozen=True):
    """Of a forward pass, measured where it was exported. ``latency_ms`` is by the number of images at once."""

    parameters: int
    multiplications: int  # of an image
    bytes: int  # of the file
    latency_ms: dict[str, float]
    processor: str
    threads: int


class Comparison(msgspec.Struct, frozen=True):
    """The export beside the original on images of the test split."""

    images: int
    largest_difference: float  # of a probability
    tolerance: float
    same_class: int  # images of which both say the same
    as_tested: int | None  # images of which the export says what the student said when it was tested


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """All that a program needs that uses the export, and where it comes from."""

    format: str
    file: FileName
    sha256: str
    input: Input
    labels: list[str]
    model: str
    plugins: dict[str, str] = {}
    experiment: str
    student: str
    key: str
    results: dict[str, Any] = {}
    cost: Cost | None = None
    comparison: Comparison | None = None
    versions: dict[str, str] = {}


def write(folder: Path, description: Description) -> None:
    """Into a folder that nobody else sees yet."""
    (folder / FILE).write_bytes(json_bytes(msgspec.to_builtins(description)))


def read(folder: Path) -> Description:
    """What a folder holds, whose file is as it was written.

    Raises:
        ExportError: where it is no export, or its file was changed.
    """
    path = folder / FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Description)
    except OSError as error:
        raise ExportError(f"{folder} is no export: {path} cannot be read ({error.strerror})") from None
    except msgspec.MsgspecError as error:
        raise ExportError(f"{path} is none that `kd export` wrote: {error}") from None
    if len(found.input.mean) != found.input.channels or len(found.input.std) != found.input.channels:
        raise ExportError(f"{path}: `mean` and `std` must have a value for each of the {found.input.channels} channels")
    if found.input.size > found.input.resized:
        raise ExportError(f"{path}: `size` must not exceed `resized`, {found.input.resized}, but is {found.input.size}")
    file = folder / found.file
    if not file.is_file():
        raise ExportError(f"{file} is missing")
    if sha256(file) != found.sha256:
        raise ExportError(f"{file} is not the file that {path} describes: its SHA-256 is another")
    return found
