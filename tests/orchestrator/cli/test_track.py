"""`kd track`."""

from __future__ import annotations

from tests.support.command_line import complete, printed

ON = ("--set", "tracking.enabled=true")


def test_what_is_missing_is_written_once_and_all_of_it_where_that_is_asked(toy, capsys):
    """Eight jobs and the experiment."""
    complete(toy)
    assert printed(capsys, "track", toy, *ON).out == "11 runs written, 0 unchanged\n"
    assert printed(capsys, "track", toy, *ON).out == "0 runs written, 11 unchanged\n"
    assert printed(capsys, "track", toy, *ON, "--rebuild").out.startswith("11 runs written, 0 unchanged")
