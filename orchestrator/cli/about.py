"""Commands about the program itself: list, schema, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import existing, loaded

tables = typer.Typer(help="List what an experiment may name.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Tell more of this one.", show_default=False)]

Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="PLUGIN", help="Count in what this file or module brings.", show_default=False),
]


def bring(plugins: list[str] | None) -> None:
    """Put plugins in force, and those of installed packages.

    Raises:
        PluginError: where one cannot be used.
    """
    from kd_core.plugins.find import installed, read
    from kd_core.plugins.tables import use

    names = dict.fromkeys((*installed(), *(plugins or ())))
    use([read(name, [Path()]) for name in names])


@tables.command()
def models(plugin: Plugins = None) -> None:
    """List the networks.

    \b
    Examples:
      kd list models
      kd list models | grep resnet
    """
    from orchestrator.cli.views.catalogue import models as view
    from orchestrator.cli.views.console import show

    bring(plugin)
    show(*view())


@tables.command()
def methods(name: Name = None, plugin: Plugins = None) -> None:
    """List the distillation methods.

    Of one method, its formula and its knobs with default, bounds and search space.

    \b
    Examples:
      kd list methods
      kd list methods gpac
    """
    from orchestrator.cli.views.catalogue import method, methods
    from orchestrator.cli.views.console import show

    bring(plugin)
    show(*(method(name) if name else methods()))


@tables.command()
def evaluations(name: Name = None, plugin: Plugins = None) -> None:
    """List what can be asked of finished students.

    Of one evaluation, its numbers and its knobs.

    \b
    Examples:
      kd list evaluations
      kd list evaluations robustness
    """
    from orchestrator.cli.views.catalogue import evaluation, evaluations
    from orchestrator.cli.views.console import show

    bring(plugin)
    show(*(evaluation(name) if name else evaluations()))


@tables.command()
def datasets(plugin: Plugins = None) -> None:
    """List the data sets.

    \b
    Example:
      kd list datasets
    """
    from orchestrator.cli.views.catalogue import datasets as view
    from orchestrator.cli.views.console import show

    bring(plugin)
    show(*view())


def schema(plugin: Plugins = None) -> None:
    """Print the JSON Schema of the YAML.

    Editors complete and check an experiment with it.

    \b
    Example:
      kd schema > .vscode/kd.schema.json
    """
    from json import dumps

    from orchestrator.experiment.schema import schema as made

    bring(plugin)
    typer.echo(dumps(made(), indent=2, ensure_ascii=False))


def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Check the store and the tracking of this experiment.", show_default=False),
    ] = None,
    store: Annotated[str | None, typer.Option("--store", metavar="PLACE", help="Check this store.")] = None,
) -> None:
    """Check what a run needs.

    Versions, devices, the store, Ray, MLflow: each line is ok, or says what to do. Exits with 1 where one is not.

    \b
    Examples:
      kd doctor
      kd doctor experiments/digits.yaml
    """
    from orchestrator.cli.checks import bare, checks
    from orchestrator.cli.views.console import show
    from orchestrator.cli.views.doctor import line

    sound = True
    for check in checks(loaded(existing(file), None, store) if file else bare(store or "kd-store")):
        show(line(check))
        sound &= check.ok
    raise typer.Exit(0 if sound else 1)
