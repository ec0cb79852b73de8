"""A plugin: methods, models, data sets and evaluations of others, known by its content.

It is a Python file, or an installed package, that holds plain tables of the same names as ours::

    METHODS = {"mine": Mine}  # as in kd_core.methods.table; so MODELS, DATASETS, EVALUATIONS

The SHA-256 of the file, or of all Python files of the package, is part of the key of every job that uses what it defines.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


class PluginError(ValueError):
    """A plugin cannot be used: which, where in it, and why."""


@dataclass(frozen=True)
class Plugin:
    """``files`` holds the content by path, relative to where its imports begin; the tables are in the one at ``entry``."""

    name: str  # as it is written: my_methods.py, package.module
    entry: str
    files: Mapping[str, bytes] = field(repr=False)
    at: str = ""  # where it was read, for messages

    @functools.cached_property
    def sha256(self) -> str:
        """64 hex digits: of the one file, or of the names and digests of all files."""
        if len(self.files) == 1:
            return hashlib.sha256(self.files[self.entry]).hexdigest()
        parts = sorted(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in self.files.items())
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    @property
    def is_file(self) -> bool:
        """Whether it is a file, and not a module of a package."""
        return self.name.endswith(".py")

    def location(self, table: str = "", entry: str = "") -> str:
        """``my_methods.py:12``: where an entry of a table stands, or the table, or the plugin."""
        shown = self.name if self.is_file else self.at or self.name
        return f"{shown}:{_line_of(self.files[self.entry], table, entry)}"


def _line_of(source: bytes, table: str, entry: str) -> int:
    """The line of an entry of a table in a file, or of the table; 1 where it is not written out."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return 1
    for target, value in _assignments(tree):
        if target != table:
            continue
        if isinstance(value, ast.Dict):
            for key in value.keys:
                if isinstance(key, ast.Constant) and str(key.value) == entry:
                    return key.lineno
        return value.lineno
    return 1


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            yield from ((target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value
