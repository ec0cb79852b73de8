"""How a check is shown."""

from __future__ import annotations

from rich.text import Text

from orchestrator.cli.checks import Check


def line(check: Check) -> Text:
    """``ok    store   …``, or what was found and below it what to do."""
    shown = Text.assemble(
        ("ok   " if check.ok else "wrong", "green" if check.ok else "red"), f"  {check.name:<12} {check.found}"
    )
    return shown if check.ok or not check.remedy else shown.append(f"\n       {'':<12} {check.remedy}")
