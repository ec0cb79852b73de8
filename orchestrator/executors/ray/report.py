"""What an actor reports of a job that it ran."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """``failure``: why there is no result, or None; ``restarted``: whether the process replaces one that died; ``elsewhere``:
    who does the job instead; ``computed``: whether the result had to be made."""

    failure: str | None = None
    restarted: bool = False
    out_of_memory: bool = False
    elsewhere: str = ""
    computed: bool = True
