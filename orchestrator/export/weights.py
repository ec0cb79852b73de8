"""The weights alone, as safetensors, for who has the network's code: this project's, or the same architecture elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kd_core.deploy import Classifier, Deployed
from kd_core.models.table import build
from orchestrator.export.description import Description, ExportError

USE = """\
from pathlib import Path
import torch
from orchestrator.export import description, formats

folder = Path(".")
about = description.read(folder)
run = formats.FORMATS[about.format].load(folder / about.file, about)
images = torch.zeros(1, {channels}, {size}, {size}, dtype=torch.uint8)
probabilities = run(images)  # 1 × {classes}"""


def save(student: Deployed, images_BCHW: Tensor, path: Path) -> None:
    """Write the network's tensors under its own names.

    Raises:
        ExportError: where the network alone does not make the student's logits.
    """
    classifier = student.logits
    assert isinstance(classifier, Classifier)
    if not classifier.whole:
        raise ExportError(
            "the logits of this student are made by parts of its method, which no network of that name has; "
            "use --format torch-export"
        )
    tensors = classifier.network.state_dict()
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def load(path: Path, description: Description) -> Callable[[Tensor], Tensor]:
    """The student, of a network that is built here.

    Raises:
        ExportError: where there is no such network, or the tensors are not its own.
    """
    seen = description.input
    try:
        network = build(description.model, channels=seen.channels, classes=len(description.labels))
        network.load_state_dict(load_file(path))
    except (ValueError, RuntimeError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0]
        raise ExportError(f"{path} cannot be read as a {description.model}: {first}") from None
    student = Deployed(Classifier(network), seen.mean, seen.std).eval()
    return torch.inference_mode()(student)
