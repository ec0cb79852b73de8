"""The formats that a student can be taken away in: each a file, how it is written, and how it is read again."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from kd_core.deploy import Deployed
from orchestrator.export import onnx, program, weights
from orchestrator.export.description import Description, ExportError
from orchestrator.store.artifacts import MODEL

Run: TypeAlias = Callable[[Tensor], Tensor]  # from images (uint8 BCHW) to probabilities (BK)


@dataclass(frozen=True)
class Format:
    """``save(student, an example of images, path)``, which may refuse a student by an ExportError, and ``load(path,
    description)``, which runs nothing that the file brings but arithmetic. ``needs`` are modules that must be installed."""

    file: str
    save: Callable[[Deployed, Tensor, Path], None]
    load: Callable[[Path, Description], Run]
    use: str  # in a model card: how it is read without this project, or with it
    needs: tuple[str, ...] = ()

    def check(self, name: str) -> None:
        """Whether this machine can write it.

        Raises:
            ExportError: naming what is to be installed.
        """
        if missing := [module for module in self.needs if importlib.util.find_spec(module) is None]:
            raise ExportError(f"--format {name} needs {', '.join(missing)}: pip install {' '.join(missing)}")


FORMATS: dict[str, Format] = {
    "safetensors": Format(MODEL.name, weights.save, weights.load, weights.USE),
    "torch-export": Format("model.pt2", program.save, program.load, program.USE),
    "onnx": Format("model.onnx", onnx.save, onnx.load, onnx.USE, onnx.NEEDS),
}
