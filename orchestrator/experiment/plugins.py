"""The plugins of an experiment: ``plugins: [my_methods.py, package.module]``. They are read and in force before anything else
of the file is checked, since they say what it may name."""

from __future__ import annotations

from pathlib import Path

from kd_core.plugins.find import installed, read
from kd_core.plugins.plugin import Plugin, PluginError
from kd_core.plugins.run import load
from kd_core.plugins.tables import use
from orchestrator.experiment.problems import Problem, SpecError
from orchestrator.experiment.yaml_lines import Document

FIELD = "plugins"


def bring(document: Document, file: str) -> tuple[Plugin, ...]:
    """Put the document's plugins, and those of installed packages, in force. Files are looked for beside the YAML, then here.

    Raises:
        SpecError: with every mistake in them, each with its own file and line.
    """
    written = document.data.get(FIELD)
    names = [name for name in written if isinstance(name, str)] if isinstance(written, list) else []
    folders = list(dict.fromkeys((Path(file).parent, Path())))
    problems: list[Problem] = []
    found: list[Plugin] = []

    def complain(index: int | None, error: PluginError) -> None:
        path = (FIELD,) if index is None else (FIELD, index)
        there = document.nearest(path)
        problems.extend(Problem(document.location(there), there, line) for line in str(error).splitlines())

    for index, name in [*((None, name) for name in installed() if name not in names), *enumerate(names)]:
        try:
            plugin = read(name, folders)
            load(plugin)
            found.append(plugin)
        except PluginError as error:
            complain(index, error)
    if problems:
        raise SpecError(problems)
    try:
        use(found)
    except PluginError as error:
        complain(None, error)
        raise SpecError(problems) from None
    return tuple(found)
