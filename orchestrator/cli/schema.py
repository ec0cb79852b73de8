"""`kd schema`."""

from __future__ import annotations

import typer

from orchestrator.cli.options import PluginOption, use_plugins


def schema(plugin: PluginOption = None) -> None:
    """Print the JSON Schema of the YAML.

    Editors complete and check an experiment with it.

    \b
    Example:
      kd schema > .vscode/kd.schema.json
    """
    from json import dumps

    from orchestrator.experiment.schema import schema as made

    use_plugins(plugin)
    typer.echo(dumps(made(), indent=2, ensure_ascii=False))
