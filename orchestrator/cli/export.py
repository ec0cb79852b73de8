"""`kd export`."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, planned


class Format(enum.StrEnum):
    SAFETENSORS = "safetensors"
    TORCH_EXPORT = "torch-export"
    ONNX = "onnx"


def export(
    file: File,
    student: Annotated[str, typer.Argument(metavar="STUDENT", help="As resnet8/kd/s0; without a seed, the best.")],
    location: StoreOption = None,
    sets: Set = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="What to write.")] = Format.TORCH_EXPORT,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FOLDER", help="Write here.")] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Compare it with the original on test images.")] = True,
) -> None:
    """Take a student away, ready for use.

    A folder with the network and its preprocessing, labels and a model card with accuracy, size and speed. torch-export needs
    torch alone where it is used; safetensors are the weights for who has the network's code; onnx is for other runtimes.

    \b
    Examples:
      kd export experiments/digits.yaml resnet8/kd
      kd export experiments/digits.yaml resnet8/kd/s0 --format safetensors -o digits-student
      kd predict digits-student image.png
    \f

    Raises:
        SpecError: with every mistake in the file.
        UnknownJob: where no student is called so.
        ExportError: where it cannot be exported so.
    """
    from orchestrator.cli.views.export import exported
    from orchestrator.export.export import best_of
    from orchestrator.export.export import export as write
    from orchestrator.planning.names import find, path_of

    spec, plan, store = planned(file, sets, location)
    job, entry = best_of(find(plan.of("student"), student), store)
    name = "-".join([plan.name, *path_of(job).split("/")[1:]])
    folder = out or Path("".join(character if character.isalnum() or character in "-_.=" else "_" for character in name))
    about = write(spec, plan, store, job, entry, format.value, folder, check=check)
    typer.echo(exported(folder, about))
