"""`kd predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import PluginOption, use_plugins


def predict(
    export: Annotated[Path, typer.Argument(metavar="EXPORT", help="The folder that kd export wrote.", show_default=False)],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Files of images.", show_default=False)],
    top: Annotated[int, typer.Option(min=1, help="Show so many classes.")] = 3,
    plugins: PluginOption = None,
) -> None:
    """Ask an exported student what is in images.

    A smoke test of an export: it is read from its folder, checked against its SHA-256, and nothing in it is unpickled.

    \b
    Examples:
      kd predict digits-resnet8-kd-s0 image.png
      kd predict digits-resnet8-kd-s0 *.png --top 1
    \f

    Raises:
        ExportError: where the folder holds no export that can be used.
        DataError: naming an image that cannot be read.
    """
    from orchestrator.cli.views.export import answers
    from orchestrator.export.description import read
    from orchestrator.export.predict import predict as ask

    use_plugins(plugins)
    about = read(export)
    typer.echo(answers(ask(export, about, images, top)))
