"""`kd list`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.jobs import completed_from
from orchestrator.cli.options import PluginOption, use_plugins

tables = typer.Typer(help="List what an experiment may name.", no_args_is_help=True, rich_markup_mode=None)
MORE = "Tell more of this one."
Model = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help=MORE, show_default=False, autocompletion=completed_from("MODELS")),
]
Method = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help=MORE, show_default=False, autocompletion=completed_from("METHODS")),
]
Evaluation = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help=MORE, show_default=False, autocompletion=completed_from("EVALUATIONS")),
]
Student = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Of this student.", show_default=False, autocompletion=completed_from("MODELS")),
]
OfMethod = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of this method.", show_default=False, autocompletion=completed_from("METHODS")),
]


@tables.command()
def models(name: Model = None, plugin: PluginOption = None) -> None:
    """List the networks.

    Of one network, its stages with the size of what they say, and the names and shapes of its tensors, which a file of given
    weights must have.

    \b
    Examples:
      kd list models
      kd list models | grep resnet
      kd list models resnet32x4
    """
    from orchestrator.cli.views.console import show

    use_plugins(plugin)
    if name:
        from orchestrator.cli.views.model import model

        show(*model(name))
        return
    from orchestrator.cli.views.catalogue import models as view

    show(*view())


@tables.command()
def methods(name: Method = None, plugin: PluginOption = None) -> None:
    """List the distillation methods.

    Of one method, its formula and its knobs with default, bounds and search space.

    \b
    Examples:
      kd list methods
      kd list methods gpac
    """
    from orchestrator.cli.views.catalogue import method, methods
    from orchestrator.cli.views.console import show

    use_plugins(plugin)
    show(*(method(name) if name else methods()))


@tables.command()
def evaluations(name: Evaluation = None, plugin: PluginOption = None) -> None:
    """List what can be asked of finished students.

    Of one evaluation, its numbers and its knobs.

    \b
    Examples:
      kd list evaluations
      kd list evaluations robustness
    """
    from orchestrator.cli.views.catalogue import evaluation, evaluations
    from orchestrator.cli.views.console import show

    use_plugins(plugin)
    show(*(evaluation(name) if name else evaluations()))


@tables.command()
def published(
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Of this data set.", show_default=False)] = None,
    student: Student = None,
    method: OfMethod = None,
) -> None:
    """List published accuracies, with their source and the protocol under which they were measured.

    A report shows them beside the students of an experiment that are trained so.

    \b
    Examples:
      kd list published
      kd list published --student resnet8x4 --method dkd
    """
    from orchestrator.cli.views.catalogue import published as view
    from orchestrator.cli.views.console import show

    show(*view(dataset, student, method))


@tables.command()
def datasets(plugin: PluginOption = None) -> None:
    """List the data sets.

    \b
    Example:
      kd list datasets
    """
    from orchestrator.cli.views.catalogue import datasets as view
    from orchestrator.cli.views.console import show

    use_plugins(plugin)
    show(*view())
