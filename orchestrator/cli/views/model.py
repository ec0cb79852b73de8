"""How one model is shown: what it says of an image, and the tensors that a file of its weights holds. Builds the network."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from rich.console import RenderableType
from rich.text import Text

from kd_core.models.network import shape_of
from kd_core.models.table import build, check_name, model_info
from kd_core.models.wrapped import Wrapped
from orchestrator.cli.views.console import table
from orchestrator.report.analysis.formatting import count

CHANNELS, CLASSES, USUAL = 3, 100, 32


def model(name: str) -> Iterator[RenderableType]:
    """Its stages with their sizes, and its tensors.

    Raises:
        typer.BadParameter: for a name of no model.
    """
    if problem := check_name(name):
        raise typer.BadParameter(problem)
    info, network = model_info(name), build(name, channels=CHANNELS, classes=CLASSES)
    side = max(USUAL, info.smallest)
    shape = shape_of(network, (CHANNELS, side, side))
    tensors = network.state_dict()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    yield Text(f"{name}: {info.description}. {count(parameters)} parameters.")
    yield Text(f"\nOf an image of {CHANNELS}×{side}×{side}; the smallest is {info.smallest}×{info.smallest}:")
    layers = table("layer", "size", right=["size"], whole=["layer"])
    for stage, size in zip(network.stage_names, shape.stages, strict=True):
        layers.add_row(stage, "×".join(map(str, size)))
    layers.add_row("embedding", str(shape.embedding))
    layers.add_row("logits", str(shape.classes))
    yield layers
    yield Text(f"\nTensors at {CHANNELS} channels and {CLASSES} classes; `weights` may spell them so, or {_others(network)}:")
    listed = table("tensor", "shape", "type", whole=["tensor"])
    for tensor, value in tensors.items():
        listed.add_row(tensor, "×".join(map(str, value.shape)) or "one", str(value.dtype).removeprefix("torch."))
    yield listed


def _others(network: object) -> str:
    if isinstance(network, Wrapped):
        return f"as its library does (without `body.`, its head `{network.head_name}`)"
    return "as RepDistiller's and mdistiller's checkpoints of it do"
