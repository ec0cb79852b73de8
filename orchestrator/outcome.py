"""What a run leaves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

    from orchestrator.report.data.reading import Reading


@dataclass(frozen=True)
class Outcome:
    """What a run leaves. ``results`` has a row per student, ``evaluations`` one per (student, evaluation, number), ``probes``
    one per (teacher, layer, split), ``searches`` one per student and method whose knobs are searched, and ``trials`` one per
    trial of them."""

    plan: Plan
    store: Store
    computed: int  # jobs done in this run
    failed: tuple[tuple[Job, str], ...] = ()
    blocked: tuple[Job, ...] = ()
    notes: tuple[str, ...] = ()
    left: tuple[Job, ...] = ()  # neither done nor failed nor blocked: of a run that was stopped, or of a worker that idled
    stopped: str = ""  # by what, where notice was given that the run is to end, and something is left
    kept: tuple[tuple[Job, int], ...] = ()  # what was at work then, and so many epochs of it that the store holds

    @cached_property
    def reading(self) -> Reading:
        """What the store holds of the plan, read once for all tables."""
        from orchestrator.report.data.reading import Reading

        return Reading(self.plan, self.store)

    @property
    def results(self) -> pa.Table:
        """One row per student job, as in ``kd report --format csv``."""
        from orchestrator.report.data.results import results

        return results(self.reading)

    @property
    def evaluations(self) -> pa.Table:
        """One row per (student, evaluation, number)."""
        from orchestrator.report.data.results import evaluations

        return evaluations(self.reading)

    @property
    def probes(self) -> pa.Table:
        """One row per (teacher, layer, split)."""
        from orchestrator.report.data.results import probes

        return probes(self.reading)

    @property
    def searches(self) -> pa.Table:
        """One row per student and method whose knobs are searched."""
        from orchestrator.report.data.searches import searches

        return searches(self.reading)

    @property
    def trials(self) -> pa.Table:
        """One row per trial of a search that has begun."""
        from orchestrator.report.data.searches import trials

        return trials(self.reading)
