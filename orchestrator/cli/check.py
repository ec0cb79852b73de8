"""`kd check`: a plugin's entries, held against the laws that our own tables obey."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    plugin: Annotated[str, typer.Argument(metavar="PLUGIN", help="A file that ends in .py, or a module.", show_default=False)],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Check this entry. Repeatable.", show_default=False)
    ] = None,
) -> None:
    """Hold a plugin against the laws of our own tables.

    It says which law is broken, and at which line; then the exit code is 1.

    \b
    Examples:
      kd check mine.py
      kd check my_package.kd --only mine
    \f

    Raises:
        PluginError: where it cannot be used, with every mistake in it.
        typer.BadParameter: where it has no such entry.
        typer.Exit: with 1 where a law is broken.
    """
    from kd_core.plugins.find import read
    from kd_core.plugins.tables import TABLES, owner, use
    from orchestrator.cli.views.check import line, summary

    found = read(plugin, [Path()])
    use([found])
    entries = [(table, name) for table in TABLES for name in TABLES[table] if owner(table, name) is found]
    if unknown := sorted(set(only or ()) - {name for _, name in entries}):
        held = ", ".join(name for _, name in entries)
        raise typer.BadParameter(f"{plugin} has no {', '.join(unknown)}; it has {held}")
    if not entries:
        raise typer.BadParameter(f"{plugin} brings nothing: its tables are empty")
    from kd_core.laws.check import LAWS, verdicts

    asked = broken = 0
    for table, name in entries:
        if only and name not in only:
            continue
        typer.echo(f"{table}[{name!r}]")
        for verdict in verdicts(table, name, TABLES[table][name]):
            asked += not verdict.exempt
            broken += bool(verdict.problem)
            typer.echo(line(verdict, LAWS[table][verdict.law].statement))
    typer.echo(summary(asked, broken))
    if broken:
        raise typer.Exit(1)
