"""What lies in the folder that a command is given in is not what workers import, and what breaks there is told in one line."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import timeit

import pytest

from tests.support.ray_head import environment

pytestmark = pytest.mark.slow
EXPERIMENT = """
name: here
data: {name: digits, train_size: 100}
teachers: {models: [resnet8], recipe: {epochs: 1}}
students: {models: [resnet8], methods: [none], recipe: {epochs: 1}}
tracking: {enabled: false}
"""
BREAKS = "import sys\nif 'default_worker' in sys.argv[0]:\n    raise RuntimeError('\\x1b[31mmine\\x1b[0m')\n"
COMMAND = "import sys; sys.path.remove(''); from orchestrator.cli.app import main; sys.exit(main(sys.argv[1:]))"  # as kd does


def run(folder, *arguments, **variables):
    (folder / "here.yaml").write_text(EXPERIMENT)
    own = environment(**variables)
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "run", "here.yaml", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=own,
    )


def test_modules_and_another_checkout_there_are_not_imported(tmp_path):
    for module in ("timeit", "pandas", "kd_core", "orchestrator"):
        (tmp_path / f"{module}.py").write_text("raise RuntimeError('of the working folder')\n")
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_breaks_a_worker_is_the_reason_of_teacher_and_student_alike(tmp_path):
    broken = tmp_path / "path"
    broken.mkdir()
    (broken / "timeit.py").write_text(BREAKS + inspect.getsource(timeit))
    path = os.pathsep.join([str(broken), environment()["PYTHONPATH"]])
    done = run(tmp_path, "--set", "resources.max_failures=0", PYTHONPATH=path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed: resnet8-s0: its worker died (RuntimeError: mine)\n" in done.stdout
    assert "failed: resnet8 · none · s0: its worker died (RuntimeError: mine)\n" in done.stdout
    assert "\x1b" not in done.stdout
