"""What a batch job asks of Slurm and how it begins, in Slurm's own words: a YAML file of the user's, and ``FIELD=VALUE``."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.experiment.problems import Problem, SourceLocation, SpecError, shown, suggestion
from orchestrator.experiment.yaml_lines import Document, read, read_file

HOME = "KD_SLURM_PROFILE"  # names the user's profile where it is not the file below
USUAL = "~/.config/kd/slurm.yaml"
LEAST_SIGNAL_S = 60  # before the end: less does not hold an epoch, the end of a Ray cluster and Slurm's own delay
SLURM_LATE_S = 60  # Slurm may send a signal so much earlier or later than asked

TIME = re.compile(r"\d+|\d+:\d\d|\d+:\d\d:\d\d|\d+-\d+(:\d\d){0,2}")
MEMORY = re.compile(r"\d+[KMGT]?")
GPUS = re.compile(r"([\w.-]+:)?\d+")
WORD = re.compile(r"[^\s#'\"\\$`;&|<>()]+")


@dataclass(frozen=True)
class Profile:
    """A job's wishes. What is None is left to the site's defaults. Field names with ``_`` are options with ``-``."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodes: int = 1
    gpus_per_node: str | None = None  # 4 or a100:4
    cpus_per_task: int | None = None  # of the one task on each node
    mem: str | None = None
    time: str | None = None
    signal: int = 180  # seconds before the end at which the job is told of it
    requeue: bool = True  # whether it goes on by itself after that
    extra: tuple[str, ...] = ()  # more options of sbatch, as they are: --exclusive
    prologue: str = ""  # lines of shell before all else: module load, conda activate
    output: str = "slurm"  # a folder for what the job prints
    tmp: str = "/tmp"  # a folder of each node's own, for Ray's sockets and logs
    idle: int = 600  # seconds after which a worker of an array that finds nothing to take gives its place back

    @property
    def grace_s(self) -> int:
        """How long a run that was told of the end may wait for its epochs: then a cluster has a while to end."""
        return max(10, self.signal - 45)


def _text(pattern: re.Pattern[str], like: str) -> Callable[[Any], Any]:
    def read(value: Any) -> str:
        text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {like}")
        return text

    return read


def _number(least: int) -> Callable[[Any], Any]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"must be an integer >= {least}")
        return value

    return read


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _options(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) and each.startswith("-") and "\n" not in each for each in listed):
        raise ValueError("must be options of sbatch, each beginning with `-`")
    return tuple(listed)


def _lines(value: Any) -> str:
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in listed):
        raise ValueError("must be lines of shell")
    return "\n".join(listed).strip()


_word = _text(WORD, "one word")
READ: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("partition", "account", "qos", "constraint", "output", "tmp"), _word),
    "nodes": _number(1),
    "gpus_per_node": _text(GPUS, "a number, or a kind and a number as in a100:4"),
    "cpus_per_task": _number(1),
    "mem": _text(MEMORY, "a number of MiB, or with its unit as in 64G"),
    "time": _text(TIME, "minutes, H:MM:SS or D-HH:MM:SS"),
    "signal": _number(LEAST_SIGNAL_S),
    "requeue": _truth,
    "extra": _options,
    "prologue": _lines,
    "idle": _number(0),
}


def profile_of(asked: Sequence[str]) -> Profile:
    """The profile that the user keeps, where there is one, or the file named; and over it each ``FIELD=VALUE``.

    Raises:
        SpecError: with every mistake.
    """
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    files = [each for each in asked if "=" not in each]
    if len(files) > 1:
        raise SpecError([Problem(SourceLocation(f"--slurm {files[1]}"), (), f"one profile is enough, and {files[0]} is one")])
    for file in files or _usual():
        _take(read_file(file, "a profile has at least one field, as `partition: gpu`"), fields, problems)
    for assignment in (each for each in asked if "=" in each):
        name, _, text = assignment.partition("=")
        location = SourceLocation(f"--slurm {assignment}")
        value = read(text, lambda line, at=location: at)  # type: ignore[misc]
        _take(Document({name.strip(): value.data}, {(): location, (name.strip(),): location}, value.problems), fields, problems)
    if problems:
        raise SpecError(problems)
    return Profile(**fields)


def _usual() -> list[str]:
    named = os.environ.get(HOME)
    usual = Path(named or USUAL).expanduser()
    return [str(usual)] if named or usual.is_file() else []


def _take(document: Document, fields: dict[str, Any], problems: list[Problem]) -> None:
    """Put what a document says among the fields, and its mistakes among the problems."""
    problems += document.problems
    known = [field.name.replace("_", "-") for field in dataclasses.fields(Profile)]
    for name, value in document.data.items():
        field, location = name.replace("-", "_"), document.location((name,))
        if field not in READ:
            hint = suggestion(name, known) or f" (there are: {', '.join(known)}; `extra` takes any other option of sbatch)"
            problems.append(Problem(location, (name,), f"no such field{hint}"))
            continue
        try:
            fields[field] = READ[field](value)
        except ValueError as error:
            problems.append(Problem(location, (name,), f"{error}, but got {shown(value)}"))
