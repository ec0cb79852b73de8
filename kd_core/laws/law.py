"""What a law is, and how an entry of a table is held against it.

An entry is asked, never trusted: what its own code raises is a broken law, told with the line of its code.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class Broken(Exception):
    """A law does not hold: which knob, value, shape or parameter shows it."""


class Exempt(Exception):
    """A law does not concern this entry: why."""


@dataclass(frozen=True)
class Law:
    """``check`` raises :class:`Broken` where the law does not hold, and :class:`Exempt` where it does not apply."""

    statement: str
    check: Callable[[Any], None]


@dataclass(frozen=True)
class Verdict:
    """What became of one law: nothing to say where it holds, or ``problem`` and where it shows, or why it was not ``asked``."""

    law: str
    problem: str = ""
    where: str = ""  # file:line
    exempt: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.law}: {self.problem}" if self.problem else self.law


def must(holds: object, problem: str) -> None:
    """Raises:
    Broken: with the problem, unless it holds.
    """
    if not holds:
        raise Broken(problem)


def check_laws(laws: Mapping[str, Law], case: object, entry: object) -> Iterator[Verdict]:
    """Hold ``case`` against each of the laws; ``entry`` is the class or the function in whose file mistakes are looked for."""
    for name, law in laws.items():
        if reason := getattr(entry, "exempt", {}).get(name):
            yield Verdict(name, exempt=reason)
            continue
        try:
            law.check(case)
        except Exempt as exempt:
            yield Verdict(name, exempt=str(exempt))
        except Broken as broken:
            yield Verdict(name, str(broken), at(entry))
        except Exception as error:  # whatever a stranger's code does
            yield Verdict(name, f"raises {type(error).__name__}: {' '.join(str(error).split())}", at(entry, error))
        else:
            yield Verdict(name)


def at(entry: object, error: Exception | None = None) -> str:
    """``file:line`` of the innermost frame of an error in the entry's own file, else of where the entry begins."""
    entry = inspect.unwrap(entry) if callable(entry) else type(entry)
    try:
        file = inspect.getsourcefile(entry) or ""
        frames = traceback.extract_tb(error.__traceback__) if error else []
        lines = [frame.lineno for frame in frames if frame.filename == file]
        return f"{file}:{lines[-1] if lines else inspect.getsourcelines(entry)[1]}"
    except (TypeError, OSError):  # of a class that no file holds
        return getattr(entry, "__qualname__", str(entry))
