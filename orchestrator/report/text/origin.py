"""Where a report's experiment was asked for, so that it can be asked for again."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.experiment.commands import command
from orchestrator.experiment.spec import Spec


@dataclass(frozen=True)
class Origin:
    """``text`` is the experiment's file as it is, ``command`` what runs it again."""

    file: str
    text: str
    command: str

    @classmethod
    def of(cls, spec: Spec) -> Origin | None:
        """None where the experiment was not loaded from a file."""
        if not spec.source.text:
            return None
        source = spec.source
        return cls(spec.file, source.text, command("run", spec.file, source.assignments, source.store))
