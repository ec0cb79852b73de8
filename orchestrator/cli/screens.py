"""Where a run is shown, by what was asked for and whether standard error is a terminal."""

from __future__ import annotations

from orchestrator.cli.views.console import console
from orchestrator.cli.views.run import Picture
from orchestrator.cli.views.run_lines import JsonLines, Lines, Quiet
from orchestrator.cli.watching import Screen


def screen(*, quiet: bool = False, json: bool = False) -> Screen:
    """The screen for a command."""
    if json:
        return JsonLines()
    if quiet:
        return Quiet()
    out = console(stderr=True)
    return Picture(out) if out.is_terminal else Lines(out)
