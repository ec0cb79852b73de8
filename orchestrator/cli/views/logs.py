"""How the logs of a job are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.jobs.visible import visible
from orchestrator.store.logs import Kept


def attempts(logs: Sequence[Kept], failure: Mapping[str, Any], *, every: bool) -> str:
    """The log of the last attempt, or of each; and behind it the failure that no log tells, as that of a process that was
    killed. Characters that a terminal would obey are written out."""
    shown = logs if every else logs[-1:]
    many = f" of {len(logs)}" if len(logs) > 1 else ""
    parts = []
    for number, log in enumerate(logs, start=1):
        if log in shown:
            parts.append(f"attempt {number}{many}, {log.attempt}, begun {log.began} UTC\n{visible(log.text)}")
    if failure and not (logs and failure["reason"].splitlines()[0] in logs[-1].text):
        trace = failure.get("trace", "")
        parts.append(f"failed: {failure['reason']}\n{visible(trace)}")
    return "\n".join(parts)
