"""`kd new`: a plugin to begin with, and its test."""

from __future__ import annotations

import importlib.util
import keyword
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class What(StrEnum):
    """What a plugin can hold."""

    METHOD = "method"
    MODEL = "model"
    DATASET = "dataset"
    EVALUATION = "evaluation"

    @property
    def table(self) -> str:
        """The table that names such entries."""
        return f"{self.upper()}S"


def new(
    what: Annotated[What, typer.Argument(metavar="KIND", help="method, model, dataset or evaluation.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name in YAML, and the file's.", show_default=False)],
    folder: Annotated[Path, typer.Option("--folder", help="Where to write.", show_default="here")] = Path(),
) -> None:
    """Begin a plugin with a file that works, and its test.

    \b
    Examples:
      kd new method mine
      kd new dataset scans --folder plugins
    \f

    Raises:
        typer.BadParameter: where the name cannot be, or a file is there already.
    """
    problem = _problem(what, name)
    files = {folder / f"{name}.py": f"{what}.py", folder / f"test_{name}.py": f"test_{what}.py"}
    problem = problem or next((f"{path} exists, and is left as it is" for path in files if path.exists()), "")
    if not folder.is_dir():
        problem = problem or f"{folder} is no directory"
    if problem:
        raise typer.BadParameter(problem)
    for path, template in files.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(written(template, name))
    ours, test = files
    typer.echo(f"{ours}: the {what}, and its entry in {what.table}\n{test}: the laws, and a value worked out by hand\n")
    typer.echo(f"kd check {ours}\npython -m pytest {test}\n\nIn an experiment's YAML:  plugins: [{ours.name}]")


def written(template: str, name: str) -> str:
    """A template's text under another name than ``mine``."""
    text = (Path(__file__).parent / "templates" / template).read_text(encoding="utf-8")
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    for was, becomes in (("mine", name), ("Mine", camel), ("MINE", name.upper())):
        text = re.sub(rf"\b{was}\b", becomes, text)
    return text


def _problem(what: What, name: str) -> str:
    from kd_core.plugins.entries import LONGEST_NAME
    from kd_core.plugins.tables import TABLES

    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or len(name) > LONGEST_NAME:
        return f"{name!r} must be a name of letters, digits and _ ({LONGEST_NAME} at most), and no word of Python's"
    if name in TABLES[what.table]:
        return f"there is {'an' if what is What.EVALUATION else 'a'} {what} {name!r} already; take another name"
    if importlib.util.find_spec(name):
        return f"a module {name!r} is installed, which a file of that name would hide; take another name"
    return ""
