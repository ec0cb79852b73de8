"""One line of what Ray tells, as Ray 2.60.0 tells it; the workers of a run: test_working_folder.py."""

from __future__ import annotations

import pytest
import ray.exceptions

from orchestrator.executors.ray.remote_error import last_line

TRACEBACK = """Traceback (most recent call last):
  File "/w/timeit.py", line 1, in <module>
    raise RuntimeError("my timeit\\nhas two lines")
RuntimeError: \x1b[31mmy timeit\x1b[0m
has two lines"""
DEAD = "The actor died unexpectedly before finishing this task.\n\tclass_name: Worker\n\tpid: 7\nIts process has died."


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (ray.exceptions.RayTaskError("Worker.run", TRACEBACK, RuntimeError("my timeit")), "RuntimeError: my timeit"),
        (ray.exceptions.RaySystemError("no", TRACEBACK), "RuntimeError: my timeit"),
        (f"Failure # 1\n{DEAD} {TRACEBACK}\n\nAn unexpected internal error occurred.", "RuntimeError: my timeit"),
        (f"Failure # 1\n{TRACEBACK}\nFailure # 2\n{TRACEBACK.replace('my', 'his')}\n", "RuntimeError: his timeit"),
        (DEAD, "Its process has died."),
        (ray.exceptions.ActorDiedError(), "The actor died unexpectedly before finishing this task."),
        (ValueError(" \n"), "ValueError"),
    ],
    ids=["task", "system", "death after a traceback", "two failures", "death", "death without cause", "nothing"],
)
def test_the_error_itself_is_the_line(told, line):
    assert last_line(told) == line
