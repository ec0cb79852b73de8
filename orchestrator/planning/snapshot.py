"""What a run looks like at a moment: made by the driver, shown by whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.planning.plan import Plan
from orchestrator.planning.state import State


@dataclass(frozen=True)
class Snapshot:
    """The states of all jobs of a plan, and of those that run what they last said (``progress.json``)."""

    plan: Plan
    states: dict[str, State]
    progress: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what the user should read, since the run began: quarantined entries, retries

    def count(self, state: State) -> int:
        """How many jobs are in a state."""
        return sum(found == state for found in self.states.values())


Watch = Callable[[Snapshot], None]
