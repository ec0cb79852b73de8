"""Ask an export what is in images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kd_core.data.files import decoded
from kd_core.data.views import middle
from orchestrator.export.description import Description, ExportError
from orchestrator.export.formats import FORMATS


@dataclass(frozen=True)
class Answer:
    """The likeliest classes of an image, the likeliest first, with their probabilities."""

    image: Path
    classes: tuple[tuple[str, float], ...]


def predict(folder: Path, about: Description, images: Sequence[Path], top: int = 5) -> list[Answer]:
    """What an export says of each image.

    Raises:
        ExportError: where the export cannot be read.
        DataError: naming an image that cannot be read.
    """
    if about.format not in FORMATS:
        raise ExportError(f"{folder}: `format` must be one of {', '.join(FORMATS)}, but is {about.format!r}")
    run = FORMATS[about.format].load(folder / about.file, about)
    seen = about.input
    found = []
    for path in images:
        image_CHW = middle(decoded(str(path), seen.resized, seen.channels), seen.size)
        best = run(image_CHW[None])[0].topk(min(top, len(about.labels)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        found.append(Answer(path, tuple((about.labels[label], probability) for label, probability in pairs)))
    return found
