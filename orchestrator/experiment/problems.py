"""Mistakes of a user: where, which field, what is allowed. All of a file's mistakes are reported at once."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST = 100  # mistakes that are shown

Path = tuple[str | int, ...]  # keys and list indices, from the top of the YAML


@dataclass(frozen=True)
class SourceLocation:
    """A line (1-based) of a file, or a whole source: a file that cannot be read, an option of the command line."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Problem:
    location: SourceLocation
    path: Path
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.location), dotted(self.path), self.message)))


class SpecError(ValueError):
    """An experiment that cannot be run as written. ``problems`` holds every mistake; the text is a line for each of the first
    MOST."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.location.line or 0))
        more = len(self.problems) - MOST
        super().__init__("\n".join([*map(str, self.problems[:MOST]), *([f"and {more:,} more"] if more > 0 else [])]))


class InvalidValue(ValueError):
    """What is wrong with a value, ``at`` a path below it. ``like`` is the path below it of what it clashes with."""

    def __init__(self, message: str, at: Path = (), like: Path | None = None) -> None:
        super().__init__(message)
        self.at = at
        self.like = like


def dotted(path: Path) -> str:
    """``("students", "methods", 2, "gpac")`` as ``students.methods[2].gpac``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if part.isprintable() and part else repr(part))
    return text


def shown(value: object) -> str:
    """A value as YAML has it, on one short line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list | tuple):
        flat = not any(isinstance(item, dict | list | tuple) for item in value)
        return f"[{', '.join(map(shown, value))}]" if flat and len(value) <= 4 else f"a list of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**60 else "a very large integer"
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'resnet20'?`` or nothing."""
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""
