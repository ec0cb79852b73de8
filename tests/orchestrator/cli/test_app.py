"""The command `kd`: its help, and how mistakes and failures end."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.report.data.reading import Reading
from orchestrator.report.text.render import FORMATS, render
from orchestrator.report.text.terminal import terminal
from tests.support.command_line import kd, opened, printed
from tests.support.paths import ROOT


def commands(capsys, *above):
    listed = printed(capsys, *above, "--help").out.partition("Commands:\n")[2]
    return [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2].isalpha() and ":" not in line]


def test_the_help_of_every_command_shows_how_it_is_used(capsys):
    every = [(name,) for name in commands(capsys) if name != "list"] + [("list", name) for name in commands(capsys, "list")]
    assert len(every) > 20
    for name in every:
        assert f"    kd {' '.join(name)}" in printed(capsys, *name, "-h").out


def test_mistakes_in_the_file_go_to_stderr_all_at_once_with_2(toy, capsys):
    Path(toy).write_text(Path(toy).read_text().replace("epochs: 10", "epochs: 0").replace("kd]", "kdd]"))
    output = printed(capsys, "plan", toy, code=2)
    assert output.out == ""
    assert len(output.err.splitlines()) == 3  # two recipes and a method
    assert "Traceback" not in output.err


def test_what_nobody_expected_is_one_line_and_a_trace_on_request(toy, capsys, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("seven")

    monkeypatch.setattr("orchestrator.planning.explain.statuses", broken)
    assert printed(capsys, "status", toy, code=1).err == "kd: ZeroDivisionError: seven (KD_TRACEBACK=1 shows where)\n"
    monkeypatch.setenv("KD_TRACEBACK", "1")
    assert "in broken" in printed(capsys, "status", toy, code=1).err


@pytest.mark.parametrize("students", [2, 1500], ids=["small", "more text than is buffered"])
def test_a_pipe_that_closes_is_no_error(toy, students):
    read, write = os.pipe()
    os.close(read)
    done = kd("plan", toy, "--set", f"students.seeds={list(range(students))}", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_colours_are_for_terminals_alone(toy):
    assert "\x1b" not in kd("plan", toy).stdout
    assert "\x1b[" in kd("plan", toy, env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[3" not in kd("plan", toy, env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout


def test_a_folder_that_was_removed_is_named(tmp_path):
    """From a shell that still stands in it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    ask = "import os, sys; os.rmdir(os.getcwd()); from orchestrator.cli.app import main; sys.exit(main(['plan', 'x.yaml']))"
    own = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", ask], cwd=gone, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "kd: the folder in which this command is given was removed; go to another one\n"


@pytest.mark.parametrize(("command", "told"), [("plan", "toy: settings"), ("report", "name: toy")])
def test_an_experiment_may_come_through_a_pipe(toy, command, told):
    """As in ``kd plan <(sed … x.yaml)``; the report shows the file, which can be read once alone."""
    read, write = os.pipe()
    os.write(write, Path(toy).read_bytes())
    os.close(write)
    done = kd(command, f"/dev/fd/{read}", pass_fds=[read])
    os.close(read)
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout


def test_one_seed_is_told_from_so_many(toy, capsys):
    assert "seed 3 alone (that many seeds are [0, …, 2])" in printed(capsys, "plan", toy, "--set", "students.seeds=3").out
    assert "alone" not in printed(capsys, "plan", toy, "--set", "students.seeds=0").out


NASTY = "=cmd|' /C calc'!A0 \x1b[2J\x07\x9b31m \u202ecod.exe\u2066 \u200b\x00 ünï 猫 ✓"
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def test_a_reason_does_no_harm_wherever_it_is_shown(toy, capsys):
    """Whoever can write into the store, or name a class or a file, could put it there."""
    plan, store = opened(toy)
    job = next(iter(plan))
    store.fail(job, {"reason": NASTY, "trace": NASTY})
    reading = Reading(plan, store)
    shown = {format: render(reading, format) for format in FORMATS} | {"terminal": terminal(reading, width=200)}
    shown["status"] = printed(capsys, "status", toy).out
    for where, text in shown.items():
        assert "cod.exe" in text, where
        assert not HARMFUL.search(text), where
    cells = [cell for row in csv.reader(io.StringIO(shown["csv"])) for cell in row]
    assert any("calc" in cell for cell in cells)
    assert not any(cell.startswith(("=", "@")) for cell in cells)
