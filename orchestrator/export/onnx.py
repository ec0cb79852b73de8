"""The student as an ONNX graph, for runtimes outside of Python. The packages that write and run it are optional."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kd_core.deploy import Deployed
from orchestrator.export.description import Description, ExportError, traced

NEEDS = ("onnx", "onnxscript", "onnxruntime")
USE = """\
import numpy, onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
images = numpy.zeros((1, {channels}, {size}, {size}), numpy.uint8)
[probabilities] = session.run(None, {{"images": images}})  # 1 × {classes}"""
FEWEST = 2  # images in the example, since a batch of one is taken for a constant


def save(student: Deployed, images_BCHW: Tensor, path: Path) -> None:
    """Trace the student for any number of images, and write it, weights included.

    Raises:
        ExportError: where it cannot be traced.
    """
    example_BCHW = images_BCHW[:1].expand(FEWEST, -1, -1, -1).contiguous()
    with traced(path), warnings.catch_warnings():  # of torch about itself
        warnings.simplefilter("ignore")
        torch.onnx.export(
            student,
            (example_BCHW,),
            path,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes={"images_BCHW": {0: torch.export.Dim("batch", min=1)}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def load(path: Path, description: Description) -> Callable[[Tensor], Tensor]:
    """The graph in onnxruntime, on the CPU.

    Raises:
        ExportError: where onnxruntime is not installed, or refuses the file.
    """
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError:
        raise ExportError(f"{path} needs onnxruntime: pip install onnxruntime") from None
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, of many kinds
        raise ExportError(f"{path} cannot be read as an ONNX graph ({error})") from None

    def run(images_BCHW: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images_BCHW.numpy()})[0])

    return run
