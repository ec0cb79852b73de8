"""`kd init`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.jobs import completed_from

if TYPE_CHECKING:
    from orchestrator.cli.first import Wish

TEACHERS, STUDENTS, METHODS = "resnet20, resnet32, wrn_16_2", "resnet8", "kd, at, gpac"


def _option(flag: str, metavar: str, text: str, table: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, autocompletion=completed_from(table))


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write.")] = Path("first.yaml"),
    data: Annotated[str | None, _option("--data", "NAME", "The data set.", "DATASETS")] = None,
    teachers: Annotated[list[str] | None, _option("--teacher", "MODEL", "A teacher. Repeatable.", "MODELS")] = None,
    students: Annotated[list[str] | None, _option("--student", "MODEL", "A student. Repeatable.", "MODELS")] = None,
    methods: Annotated[
        list[str] | None, _option("--method", "NAME", "A method beside plain training. Repeatable.", "METHODS")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many students of each kind.")] = 3,
    available: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="What there is, as 30min, 2h or 1d.", show_default=False)
    ] = None,
) -> None:
    """Write a first experiment that fits into the time there is.

    What is not given is asked, on a terminal; elsewhere it is a small experiment on digits. How fast the networks are is
    measured here, for some seconds, and epochs and images are chosen by that. The file says what each part is for.

    \b
    Examples:
      kd init
      kd init mine.yaml --data cifar100 --teacher resnet32x4 --teacher vgg13 --student resnet8x4 --time 2d
      kd init quick.yaml --method kd --method dkd --seeds 5 --time 10min
    \f

    Raises:
        typer.BadParameter: where a name is not known, the file is there already, or what was asked for makes no experiment.
    """
    from orchestrator.cli.first import FEW, Size, fitting, written
    from orchestrator.planning.schedule import this_machine

    if file.exists():
        raise typer.BadParameter(f"{file} exists, and is left as it is")
    if not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"{file.parent} is no directory")
    wish = _wish(file.stem, data, teachers, students, methods, seeds, available)
    machine = this_machine()
    _tried(written(wish, Size(FEW), dict.fromkeys(_models(wish), 1.0), machine, str(file)), file.name)
    speeds = _measured(wish, "cuda" if machine.gpus else "cpu")
    size = fitting(wish, speeds, machine)
    text = written(wish, size, speeds, machine, str(file))
    jobs = _tried(text, file.name)
    with file.open("x", encoding="utf-8") as target:
        target.write(text)
    used = f", on {size.images:,} images" if size.images else ""
    typer.echo(f"{file}: {jobs} jobs of {size.epochs} epochs{used}\n")
    if size.short:
        typer.echo("The time is too short for a result that means anything: take more of it, or smaller networks.\n")
    typer.echo(f"kd plan {file}\nkd run {file}")


def _wish(
    name: str,
    data: str | None,
    teachers: list[str] | None,
    students: list[str] | None,
    methods: list[str] | None,
    seeds: int,
    available: str | None,
) -> Wish:
    """What was asked for; what is missing is asked, where somebody can answer."""
    from kd_core.data.table import DATASETS
    from kd_core.methods.table import METHODS as KNOWN_METHODS
    from kd_core.models.table import MODELS
    from orchestrator.cli.first import Wish, known_data, seconds

    asks = sys.stdin.isatty() and None in (data, teachers, students, available)
    if asks:
        typer.echo("Data sets: " + ", ".join(known_data()))
    data = _one(data, "Data set", "digits", asks)
    _require("data set", [data], DATASETS, "datasets")
    if data not in known_data():
        raise typer.BadParameter(
            f"{data} needs more than its name (docs/data.md): begin with digits, and change `data` in the file"
        )
    if asks:
        typer.echo("Models, as resnet20, wrn_40_2, vgg13: kd list models tells all")
    taught = _several(teachers, "Teachers", TEACHERS, asks)
    learn = _several(students, "Students", STUDENTS, asks)
    _require("model", [*taught, *learn], MODELS, "models")
    told = _one(available, "Time there is", "30min", asks)
    names = dict.fromkeys(("none", *(methods or METHODS.split(", "))))
    _require("method", names, KNOWN_METHODS, "methods")
    try:
        return Wish(name, data, taught, learn, tuple(names), seeds, seconds(told))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _one(given: str | None, question: str, default: str, asks: bool) -> str:
    return given if given is not None else _answer(question, default, asks)


def _several(given: Sequence[str] | None, question: str, default: str, asks: bool) -> tuple[str, ...]:
    text = ", ".join(given) if given else _answer(question, default, asks)
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _answer(question: str, default: str, asks: bool) -> str:
    return str(typer.prompt(question, default)) if asks else default


def _require(what: str, names: Collection[str], known: Collection[str], table: str) -> None:
    """That names are known; those of libraries (torchvision:NAME) are looked at when the file is tried."""
    from difflib import get_close_matches

    for name in names:
        if name not in known and ":" not in name:
            near = get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise typer.BadParameter(f"there is no {what} {name!r}{hint} (see kd list {table})")


def _measured(wish: Wish, device: str) -> dict[str, float]:
    """Seconds per image of each model."""
    from orchestrator.cli.views.console import waiting

    with waiting("importing torch"):
        from kd_core.data.table import DataConfig
        from kd_core.models.speed import seconds_per_image
    found = {}
    for model in _models(wish):
        with waiting(f"measuring how fast {model} is"):
            found[model] = seconds_per_image(model, DataConfig(wish.data).info, device)
    return found


def _models(wish: Wish) -> Sequence[str]:
    return tuple(dict.fromkeys((*wish.teachers, *wish.students)))


def _tried(text: str, name: str) -> int:
    """How many jobs an experiment has that is not in its place yet.

    Raises:
        typer.BadParameter: where what was asked for makes none, with every mistake.
    """
    from orchestrator.experiment.load import load
    from orchestrator.experiment.problems import SpecError
    from orchestrator.planning.plan import make

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        try:
            return len(make(load(path)))
        except SpecError as error:
            raise typer.BadParameter(str(error).replace(f"{folder}/", "")) from None
