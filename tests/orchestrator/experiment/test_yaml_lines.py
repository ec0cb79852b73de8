"""Texts that are not YAML, or YAML that is no experiment; and none of them ends in anything but a SpecError."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError
from tests.support.wrong_files import HEAD, STUDENTS, TOP, Wrong, check

WRONG: Wrong = {
    # not YAML, or no experiment
    "empty": ("", [": is empty"]),
    "comments": ("# nothing\n", [": is empty"]),
    "list": ("\n- name: x\n", [":2: must hold `field: value` lines"]),
    "text": ("digits\n", [":1: must hold `field: value` lines"]),
    "tab": ("name: x\ndata:\n\tname: digits\n", [":3: not valid YAML: indent by spaces, not by tabs"]),
    "unclosed": ("name: x\ndata: {name: digits\nprobes: false\n", [":3: not valid YAML: "]),
    "unclosed at the end": ("name: x\ndata: [digits,\n  mnist\n\n", [":2: not valid YAML: while parsing a flow sequence"]),
    "unclosed quote": ("name: 'x\ndata: y\n", [":1: not valid YAML: while scanning a quoted scalar"]),
    "indentation": ("name: x\ndata:\n    name: digits\n  root: data\n", [":4: not valid YAML: the indentation does not fit"]),
    "two colons": ("name: x: y\n", [":1: not valid YAML: a `: ` too many"]),
    "two documents": (HEAD + "---\nname: y\n", [":4: not valid YAML: expected a single document"]),
    "unknown alias": ("name: *x\n", [":1: not valid YAML: found undefined alias 'x'"]),
    "control character": ("name: x\ndata: \x00\n", [":2: not valid YAML: holds a control character"]),
    "deep": ("name: x\ndata:\n" + "- " * 3000, [":3: is nested deeper than 64 levels"]),
    "deep in brackets": ("name: x\ndata: " + "[" * 5000 + "]" * 5000 + "\n", [":2: is nested deeper than 64 levels"]),
    "deep in keys": ("name: x\n" + "? " * 3000 + "y\n", [":2: is nested deeper than 64 levels"]),
    "alias to itself": ("name: &a [*a]\n", [":1: holds an alias to itself"]),
    "many keys": ("name: x\n" * 30_000, [":10000: holds more than 20,000 keys and values"]),
    "many values": ("name: x\ndata:\n" + "- 1\n" * 30_000, [":19998: holds more than 20,000 keys and values"]),
    "long": (HEAD + "#" * 300_000, [": larger than 256 KiB"]),
    "bomb": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{y}: &{y} [{', '.join([f'*{x}'] * 10)}]\n" for x, y in zip("abcde", "bcdef", strict=True)),
        [":1: holds more than 100,000 values"],
    ),
    "merge bomb": (
        "x0: &x0 {a: 1}\n" + "".join(f"x{i + 1}: &x{i + 1} {{<<: [*x{i}, *x{i}]}}\n" for i in range(40)),
        [":1: holds more than 100,000 values"],
    ),
    # keys and tags
    "key twice": (HEAD + "store: a\nname: y\n", [":5: name: is given twice, first in line 1"]),
    "keys that are no text": (
        HEAD + "1: a\ntrue: b\nnull: c\n? [d]\n: e\n",
        [
            f":{line}: a field's name must be text, but got {key}"
            for line, key in ((4, "'1'"), (5, "'true'"), (6, "'null'"), (7, "a list"))
        ],
    ),
    "tags": (
        "name: !!python/object/apply:os.system [id]\ndata: !x {name: digits}\nteachers: {models: resnet20, seeds: !!int ten}\n",
        [":1: name: YAML tags have no meaning here", ":2: data: YAML tags", ":3: teachers.seeds: cannot be read as int: 'ten'"],
    ),
    "merge of no section": (HEAD + "bank: {<<: 3}\n", [":4: bank: `<<` takes a section"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case: str, tmp_path: Path) -> None:
    check(*WRONG[case], tmp_path)


def test_of_many_mistakes_the_first_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(HEAD + TOP + "name: x\n" * 3000)
    with pytest.raises(SpecError) as found:
        load(file)
    assert len(found.value.problems) >= 3000
    lines = str(found.value).splitlines()
    assert len(lines) == 101
    assert lines[-1] == f"and {len(found.value.problems) - 100:,} more"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.yaml: no such file$"):
        load(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match=r": cannot be read: Is a directory$"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: x\n# caf\xe9\n")
    with pytest.raises(SpecError, match=r"latin\.yaml:2: not UTF-8: byte 0xe9$"):
        load(tmp_path / "latin.yaml")


def test_what_is_allowed_though_unusual(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(
        "\ufeff%YAML 1.2\n---\nname: &n 2024-01-01\n"  # a byte order mark, a directive, a date that is text
        "data: {name: digits}\n"
        "teachers: {models: resnet20, recipe: &r {lr: 1e-1, epochs: 3}}\n"
        "students:\n"
        "  - {models: resnet8, methods: none, recipe: {<<: *r, epochs: 4}}\n"
        "  - {models: resnet8, methods: none, recipe: *r}\n"
        "tracking: {experiment: *n}\n"
    )
    spec = load(file)
    assert (spec.name, spec.tracking.experiment) == ("2024-01-01", "2024-01-01")
    assert [(student.recipe.epochs, student.recipe.lr) for student in spec.students] == [(4, 0.1), (3, 0.1)]
    assert [student.cell for student in spec.students] == ["resnet8 · none · epochs=4", "resnet8 · none · epochs=3"]


def test_a_mistake_in_an_anchor_is_where_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(
        TOP
        + "teachers:\n  models: resnet20\n  recipe: &r\n    lr: -1\n"
        + "students: {models: resnet8, methods: none, recipe: {<<: *r}}\n"
    )
    with pytest.raises(SpecError) as error:
        load(file)
    assert str(error.value).splitlines() == [
        f"{file}:6: teachers.recipe.lr: must be > 0, but got -1",
        f"{file}:6: students.recipe.lr: must be > 0, but got -1",
    ]


JUNK = [*"\t\n-[]{}'\"#%|", "  ", ": ", "- ", "? ", "&a ", "*a", "<<: ", "!x ", "null", ".nan", "1e999"]


@pytest.mark.parametrize("seed", range(40))
def test_no_text_is_a_traceback(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    text = (
        STUDENTS
        + "    - gpac: {levels: [[1, 0.5], [1, 0.1]], boundaries: [0.5]}\n    - kd\n"
        + "  recipe: {lr: [0.1, 0.2]}\nprobes: {C: 1}\n"
    )
    for _ in range(generator.randint(1, 4)):
        at = generator.randrange(len(text))
        cut = generator.choice((0, 0, 1, 5))
        text = text[:at] + generator.choice(JUNK) + text[at + cut :]
    file = tmp_path / "x.yaml"
    file.write_text(text)
    try:
        load(file)
    except SpecError as error:
        assert all(str(file) in str(problem) for problem in error.problems)  # noqa: PT017
