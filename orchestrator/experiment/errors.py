"""What pydantic found, in the user's words: line, field, what is allowed, what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kd_core.plugins.tables import per_tables
from orchestrator.experiment.derive import TAGS
from orchestrator.experiment.problems import InvalidValue, Path, Problem, shown, suggestion
from orchestrator.experiment.schema import schema
from orchestrator.experiment.yaml_lines import Document

MUST = {
    "int_type": "be an integer",
    "float_type": "be a number",
    "string_type": "be text",
    "bool_type": "be true or false",
    "literal_error": "be {expected}",
    "greater_than": "be > {gt:.12g}",
    "greater_than_equal": "be >= {ge:.12g}",
    "less_than": "be < {lt:.12g}",
    "less_than_equal": "be <= {le:.12g}",
    "tuple_type": "be a list",
    "list_type": "be a list",
    "too_long": "hold {max_length} values",
    "model_type": "be a section of `field: value` lines",
}


def problems(error: ValidationError, document: Document) -> Iterator[Problem]:
    """A problem for each mistake, at the line of its field, of its entry in a list, or of what a missing field should be in."""
    for details in error.errors(include_url=False):
        path = tuple(part for part in details["loc"] if part not in TAGS)
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, InvalidValue):
            yield located_problem(cause, path, document)
        elif details["type"] == "missing":
            within = document.nearest(path[:-1])
            yield Problem(document.location(within), (*within, path[-1]), "is missing")
        else:
            at = document.nearest(path)
            yield Problem(document.location(at), at, message(details, path))


def located_problem(cause: InvalidValue, path: Path, document: Document) -> Problem:
    at = document.nearest((*path, *cause.at))
    like = "" if cause.like is None else f" (first in {document.location((*path, *cause.like))})"
    return Problem(document.location(at), at, f"{cause}{like}")


def message(details: ErrorDetails, path: Path) -> str:
    """The sentence for a mistake that pydantic found by itself."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        known = sorted(fields_beside(path))
        return "no such field" + (suggestion(str(path[-1]), known) or f" (there are: {', '.join(known)})")
    if kind == "model_type" and value is None:
        return "is empty: write its fields below it, indented, or leave it out"
    if kind == "string_too_short" or kind == "too_short":
        return "must not be empty"
    if kind not in MUST:
        return f"{details['msg'][0].lower()}{details['msg'][1:]}, but got {shown(value)}"
    hint = ""
    if kind == "literal_error" and isinstance(value, str):
        hint = suggestion(value, context["expected"].split("'")[1::2])
    elif isinstance(value, list) and kind != "model_type" and path[0] != "students":
        hint = "; only the knobs of students multiply out"
    return f"must {MUST[kind].format(**context)}, but got {shown(value)}{hint}"


def fields_beside(path: Path) -> set[str]:
    """The fields of the section that the last part of ``path`` is in, by the JSON Schema."""
    whole = _schema()
    here: list[dict[str, Any]] = [whole]
    for part in path[:-1]:
        if isinstance(part, str):
            here = [node["properties"][part] for node in _objects(here, whole) if part in node["properties"]]
    return {name for node in _objects(here, whole) for name in node["properties"]}


_schema = per_tables(schema)


def _objects(nodes: list[dict[str, Any]], whole: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of objects among ``nodes``, their alternatives and their items."""
    found = []
    for node in nodes:
        if "$ref" in node:
            node = whole["$defs"][node["$ref"].rpartition("/")[2]]
        if "properties" in node:
            found.append(node)
        else:
            inner = [*node.get("anyOf", ()), *([node["items"]] if "items" in node else ())]
            found += _objects(inner, whole)
    return found
