"""The tables of a process: ours, and the entries of the plugins that are in force, which :func:`use` says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kd_core.data.table import DATASETS
from kd_core.evaluation.table import EVALUATIONS
from kd_core.methods.table import METHODS
from kd_core.methods.wrapper import adopt
from kd_core.models.table import MODELS
from kd_core.plugins.entries import entry_problem
from kd_core.plugins.plugin import Plugin, PluginError
from kd_core.plugins.run import load

TABLES: dict[str, dict[str, Any]] = {"METHODS": METHODS, "MODELS": MODELS, "DATASETS": DATASETS, "EVALUATIONS": EVALUATIONS}
OURS: dict[str, frozenset[str]] = {table: frozenset(entries) for table, entries in TABLES.items()}

Made = TypeVar("Made")

_in_force: dict[str, Plugin] = {}
_owners: dict[tuple[str, str], Plugin] = {}
_known: dict[str, Plugin] = {}  # by SHA-256


def use(plugins: Sequence[Plugin]) -> None:
    """Have the tables hold ours and those of ``plugins``, and no others. Nothing changes where one of them cannot be used.

    Raises:
        PluginError: with every mistake in them.
    """
    global _in_force
    _known.update({plugin.sha256: plugin for plugin in plugins})
    if tuple(plugin.sha256 for plugin in plugins) == signature() and all(plugin.name in _in_force for plugin in plugins):
        return
    found, problems = _collected(plugins)
    if problems:
        raise PluginError("\n".join(problems))
    for table, entries in TABLES.items():
        for name in [name for name in entries if name not in OURS[table]]:
            del entries[name]
        entries.update({name: value for name, (_, value) in found[table].items()})
    adopt({name: METHODS[name] for name in found["METHODS"]})
    _owners.clear()
    _owners.update({(table, name): owner for table, entries in found.items() for name, (owner, _) in entries.items()})
    _in_force = {plugin.name: plugin for plugin in plugins}


def in_force() -> tuple[Plugin, ...]:
    """The plugins whose entries are in the tables now."""
    return tuple(_in_force.values())


def known(sha256: str) -> Plugin:
    """A plugin that has been in force in this process.

    Raises:
        KeyError: where none of that content has.
    """
    return _known[sha256]


def signature() -> tuple[str, ...]:
    """Names what the tables hold besides ours."""
    return tuple(plugin.sha256 for plugin in _in_force.values())


def owner(table: str, name: str) -> Plugin | None:
    """The plugin that defines an entry; None where we do."""
    return _owners.get((table, name))


def per_tables(make: Callable[..., Made]) -> Callable[..., Made]:
    """Keep what ``make`` returns as long as the tables are the same; its arguments must be hashable."""
    kept: dict[Any, Made] = {}

    @functools.wraps(make)
    def remembered(*args: object, **more: object) -> Made:
        key = signature(), args, tuple(more.items())
        if key not in kept:
            kept[key] = make(*args, **more)
        return kept[key]

    return remembered


def _collected(plugins: Sequence[Plugin]) -> tuple[dict[str, dict[str, tuple[Plugin, Any]]], list[str]]:
    """By table and name the entries of all plugins, each with its owner, and what is wrong with them."""
    found: dict[str, dict[str, tuple[Plugin, Any]]] = {table: {} for table in TABLES}
    problems: list[str] = []
    for plugin in plugins:
        try:
            module = load(plugin)
        except PluginError as error:
            problems.append(str(error))
            continue
        if not any(hasattr(module, table) for table in TABLES):
            problems.append(f"{plugin.location()}: holds none of the tables {', '.join(TABLES)}")
        for table in TABLES:
            entries = getattr(module, table, {})
            if not isinstance(entries, Mapping):
                problems.append(f"{plugin.location(table)}: {table} must be a dict of names, but is a {type(entries).__name__}")
                continue
            for name, value in entries.items():
                if table in vars(module) and value is TABLES[table].get(name) and name in OURS[table]:
                    continue  # a table that was made from ours and more
                other = found[table].get(name)
                taken = "ours" if name in OURS[table] else f"that of {other[0].location(table, name)}" if other else ""
                if taken:
                    problems.append(
                        f"{plugin.location(table, str(name))}: {table} has {name!r} already: {taken}; take another name"
                    )
                elif problem := entry_problem(table, name, value):
                    problems.append(f"{plugin.location(table, str(name))}: {table}[{name!r}] {problem}")
                else:
                    found[table][name] = plugin, value
    return found, problems
