"""YAML 1.2 text to plain values, and the line of each. Constructs nothing but dicts, lists and scalars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from orchestrator.experiment.problems import Path, Problem, SourceLocation, SpecError

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000  # as they are written; ruamel.yaml reads as many in about a second
MAX_DEPTH = 64
MAX_VALUES = 100_000  # after aliases are followed

SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}
TEXTS = {f"tag:yaml.org,2002:{name}" for name in ("str", "timestamp", "value")}  # we know no dates: they stay text
COLLECTIONS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq")}
MERGE = "tag:yaml.org,2002:merge"

HINTS = {
    r"'\t'": "indent by spaces, not by tabs",
    "<block end>": "the indentation does not fit the lines above",
    "mapping values are not allowed": "a `: ` too many, or an indentation that does not fit; quote text that holds `: `",
    "expected a single document": "one experiment for each file, but here another document begins",
}


@dataclass
class Document:
    """Plain values, and the place of every key and list entry by its path; the place of the whole is at ``()``."""

    data: Any
    locations: dict[Path, SourceLocation]
    problems: list[Problem] = field(default_factory=list)
    text: str = ""  # of the file, where it is one

    def nearest(self, path: Path) -> Path:
        """The longest part of ``path`` that is there. An index into what is no list (one group, one seed) is passed over."""
        found: Path = ()
        value = self.data
        for part in path:
            if isinstance(part, int) and not isinstance(value, list):
                continue
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                break
            found += (part,)
        return found

    def location(self, path: Path) -> SourceLocation:
        """The place of the nearest thing to ``path``."""
        return self.locations[self.nearest(path)]


def read_file(file: str, least: str = "an experiment has at least `name` and `data`") -> Document:
    """What is in a file, which must be a section at its top that holds what ``least`` says.

    Raises:
        SpecError: where the file cannot be read, or as YAML makes no sense at all. Smaller mistakes are in ``problems``.
    """
    whole = SourceLocation(file)
    try:
        with FilePath(file).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError([Problem(whole, (), "no such file")]) from None
    except OSError as error:
        raise SpecError([Problem(whole, (), f"cannot be read: {error.strerror}")]) from None
    if len(raw) > MAX_BYTES:
        raise SpecError([Problem(whole, (), f"larger than {MAX_BYTES // 1024} KiB: hardly an experiment")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SpecError([Problem(SourceLocation(file, line), (), f"not UTF-8: byte 0x{raw[error.start]:02x}")]) from None
    document = read(text, lambda line: SourceLocation(file, line))
    if document.data is None:
        raise SpecError([Problem(whole, (), f"is empty; {least}")])
    if not isinstance(document.data, dict):
        raise SpecError([Problem(document.locations[()], (), "must hold `field: value` lines at its top")])
    document.text = text
    return document


def read(text: str, location: Callable[[int], SourceLocation]) -> Document:
    """YAML text to values. ``location`` says where a line (1-based) is.

    Raises:
        SpecError: for text that is not YAML, that holds more than MAX_NODES of keys, values and sections or unfolds into more
            than MAX_VALUES of them, or that is nested deeper than MAX_DEPTH.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    builder = _Builder(yaml, location)
    try:
        _bound(text, location)
        node = yaml.compose(text)
        if node is None:
            return Document(None, {(): location(1)})
        data = builder.build(node, (), node)
        return Document(data, builder.locations, list(builder.complaints.values()))
    except RecursionError:
        raise SpecError([Problem(location(1), (), "holds an alias to itself")]) from None
    except MarkedYAMLError as error:
        raise SpecError([Problem(location(_line(error)), (), f"not valid YAML: {_explained(error)}")]) from None
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise SpecError([Problem(location(line), (), "not valid YAML: holds a control character")]) from None
    except YAMLError as error:
        raise SpecError([Problem(location(1), (), f"not valid YAML: {error}")]) from None


def _bound(text: str, location: Callable[[int], SourceLocation]) -> None:
    """Look at the text's length and depth, before anything is built of it.

    Raises:
        SpecError: where it has too much of one.
        YAMLError: for text that is not YAML.
    """
    nodes = depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        nodes += isinstance(event, NodeEvent)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        problem = f"is nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else ""
        if nodes > MAX_NODES:
            problem = f"holds more than {MAX_NODES:,} keys and values"
        if problem:
            raise SpecError([Problem(location(event.start_mark.line + 1), (), problem)])


def _line(error: MarkedYAMLError) -> int:
    unclosed = "end of stream" in str(error.problem) or "stream end" in str(error.problem)
    mark = error.context_mark if unclosed and error.context_mark else error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _explained(error: MarkedYAMLError) -> str:
    problem = str(error.problem)
    hint = next((hint for sign, hint in HINTS.items() if sign in problem), None)
    return hint or ", ".join(filter(None, (error.context, problem)))


class _Builder:
    """Nodes to values. Mistakes that leave the rest readable are collected."""

    def __init__(self, yaml: YAML, location: Callable[[int], SourceLocation]) -> None:
        self.yaml = yaml
        self.location = location
        self.locations: dict[Path, SourceLocation] = {}
        self.complaints: dict[tuple[SourceLocation, str], Problem] = {}  # what an alias repeats is reported once
        self.values = 0

    def complain(self, node: Node, path: Path, message: str) -> None:
        location = self.location(node.start_mark.line + 1)
        self.complaints.setdefault((location, message), Problem(location, path, message))

    def count(self) -> None:
        self.values += 1
        if self.values > MAX_VALUES:
            raise SpecError([Problem(self.location(1), (), f"holds more than {MAX_VALUES:,} values, each alias unfolded")])

    def build(self, node: Node, path: Path, spot: Node) -> Any:
        """The value of ``node``. Its location is where ``spot`` starts: its key, or itself in a list."""
        self.count()
        self.locations[path] = self.location(spot.start_mark.line + 1)
        if node.tag not in SCALARS | TEXTS | COLLECTIONS:
            tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
            self.complain(node, path, f"YAML tags have no meaning here, but got {tag}")
        if isinstance(node, MappingNode):
            fields = self.fields(node, path).items()
            return {name: self.build(value, (*path, name), key) for name, (key, value) in fields}
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, index), item) for index, item in enumerate(node.value)]
        return self.scalar(node, path)

    def scalar(self, node: Node, path: Path) -> Any:
        if node.tag not in SCALARS:
            return node.value
        try:
            return self.yaml.constructor.construct_object(node)
        except (ValueError, KeyError):
            self.complain(node, path, f"cannot be read as {node.tag.rpartition(':')[2]}: {node.value[:40]!r}")
            return None

    def fields(self, node: MappingNode, path: Path) -> dict[str, tuple[Node, Node]]:
        """Key and value of every field, its own before those that ``<<`` merges (https://yaml.org/type/merge.html)."""
        found: dict[str, tuple[Node, Node]] = {}
        merged: list[Node] = []
        for key, value in node.value:
            self.count()
            if key.tag == MERGE:
                merged += value.value if isinstance(value, SequenceNode) else [value]
            elif key.tag not in TEXTS:
                spelt = repr(key.value) if isinstance(key, ScalarNode) else "a list or a section"
                self.complain(key, path, f"a field's name must be text, but got {spelt}")
            elif key.value in found:
                first = found[key.value][0].start_mark.line + 1
                self.complain(key, (*path, key.value), f"is given twice, first in line {first}")
            else:
                found[key.value] = key, value
        for source in merged:
            if isinstance(source, MappingNode):
                found = self.fields(source, path) | found
            else:
                self.complain(source, path, "`<<` takes a section, or a list of sections")
        return found
