"""What the commands have in common: the experiment's file, its store and changes to it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.experiment.spec import Spec
    from orchestrator.planning.plan import Plan
    from orchestrator.store.store import Store


def existing(file: Path) -> Path:
    """The file, where it is one.

    Raises:
        typer.BadParameter: naming files near by that may have been meant.
    """
    if file.exists() and not file.is_dir():  # a pipe can be read too
        return file
    folders = dict.fromkeys((file.parent, Path("experiments"), Path()))
    known = [str(path) for folder in folders for path in (*sorted(folder.glob("*.yaml")), *sorted(folder.glob("*.yml")))]
    by_name = {Path(path).stem: path for path in reversed(known)}
    near = [by_name[name] for name in difflib.get_close_matches(file.stem, by_name, n=3, cutoff=0.5)]
    what = "is a directory" if file.is_dir() else "does not exist"
    if near:
        raise typer.BadParameter(f"{file} {what}; did you mean {' or '.join(near)}?")
    raise typer.BadParameter(f"{file} {what}" + (f"; there are {', '.join(known[:5])}" if known else ""))


File = Annotated[Path, typer.Argument(metavar="FILE", help="The experiment's YAML.", callback=existing, show_default=False)]
StoreOption = Annotated[str | None, typer.Option("--store", metavar="PLACE", help="Use this store, not the file's.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the file, as in data.train_size=400. Repeatable."),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="PLUGIN", help="Count in what this file or module brings.", show_default=False),
]


def loaded(file: Path, sets: Sequence[str] | None, location: str | None) -> Spec:
    """The experiment.

    Raises:
        SpecError: with every mistake in it.
    """
    from orchestrator.experiment.load import load

    return load(file, sets or (), location)


def planned(file: Path, sets: Sequence[str] | None, location: str | None) -> tuple[Spec, Plan, Store]:
    """The experiment, its plan and its store.

    Raises:
        SpecError: with every mistake in the file.
        StoreError: where the store cannot be read.
    """
    from orchestrator.planning.plan import make
    from orchestrator.store.store import Store

    spec = loaded(file, sets, location)
    return spec, make(spec), Store(spec.store)


def use_plugins(names: Sequence[str] | None) -> None:
    """Put these plugins in force, and those of installed packages.

    Raises:
        PluginError: where one cannot be used.
    """
    from kd_core.plugins.find import installed, read
    from kd_core.plugins.tables import use

    every = dict.fromkeys((*installed(), *(names or ())))
    use([read(name, [Path()]) for name in every])
