"""``--set data.train_size=400``: changes to what the YAML says, made before it is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from orchestrator.experiment.problems import InvalidValue, Path, Problem, SourceLocation, SpecError, dotted, shown
from orchestrator.experiment.yaml_lines import Document, read
from orchestrator.store.backends.uri import hidden


def apply(document: Document, assignment: str) -> None:
    """Set a field. The path is dotted, with indices into lists (``students.methods.1.kd.temperature``); the value is YAML.

    Sections on the way are made where they are missing. Mistakes go to ``document.problems``.
    """
    location = SourceLocation(f"--set {hidden(assignment)}")
    name, sign, text = assignment.partition("=")
    parts = re.sub(r"\[(\d+)\]", r".\1", name.strip()).split(".")
    try:
        if not sign or not all(parts):
            raise InvalidValue("must be written as `field=value`, as in data.train_size=400")
        value = read(text, lambda line: location)
        path = put(document, parts, value.data, location)
        document.problems += (replace(problem, path=(*path, *problem.path)) for problem in value.problems)
    except InvalidValue as error:
        document.problems.append(Problem(location, (), str(error)))
    except SpecError as error:
        document.problems += error.problems


def put(document: Document, parts: list[str], value: object, location: SourceLocation) -> Path:
    """Set what is at ``parts``, all of which is then at ``location``. Its path."""
    here, key, path = step(document.data, (), parts[0])
    for part in parts[1:]:
        below = here.get(key) if isinstance(here, dict) else here[key]
        if below is None or below == part:  # an empty section, or a method by its bare name
            here[key] = {} if below is None else {part: None}
            document.locations[(*path, key)] = location
        here, key, path = step(here[key], (*path, key), part)
    here[key] = value
    document.locations.update(((*path, key, *below), location) for below in paths(value))
    return (*path, key)


def step(here: object, path: Path, part: str) -> tuple[Any, str | int, Path]:
    """The container, the key in it and the container's path, for the next part of a dotted path.

    Raises:
        InvalidValue: where ``here`` has no such entry.
    """
    if isinstance(here, list) and len(here) == 1 and not part.isdecimal():
        return step(here[0], (*path, 0), part)  # of a single group
    if isinstance(here, dict):
        return here, part, path
    if not isinstance(here, list):
        raise InvalidValue(f"{dotted(path)} is {shown(here)}, not a section: it has no field {part!r}")
    if not part.isdecimal() or int(part) >= len(here):
        raise InvalidValue(
            f"{dotted(path)} is a list of {len(here)}: one of its indices must follow, as in {dotted((*path, 0))}"
        )
    return here, int(part), path


def paths(value: object) -> Iterator[Path]:
    """The path of every value within a value, its own ``()`` first."""
    yield ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from ((key, *below) for below in paths(item))
