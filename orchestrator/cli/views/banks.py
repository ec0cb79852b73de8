"""How a plan tells of its knowledge banks: bytes, cost, what they spare, and why there are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from orchestrator.cli.views.console import clock, counted
from orchestrator.cli.views.units import size
from orchestrator.experiment.spec import Spec
from orchestrator.jobs import canonical
from orchestrator.planning.bank_costs import Costs, kept, live
from orchestrator.planning.estimate import Estimate
from orchestrator.planning.plan import Plan


def rows(spec: Spec, plan: Plan, estimate: Estimate) -> Iterator[tuple[str, str]]:
    """Lines of the settings: the banks that there are, and the students that read none."""
    made = kept(spec, plan)
    if made:
        left = [estimate.seconds[job.key] for job in plan.of("bank") if job.key in estimate.seconds]
        time = f"; {clock(sum(left))} of filling left" if left else ""
        yield "banks", f"{kinds(made)}: {size(made.bytes)}; {passes(made)}{time}"
    for group in live(spec, made):
        yield "asked live", f"the teachers of {counted(group.students, 'student')}: {group.reason}"
        if proposal := group.proposal:
            found = proposal.costs
            more = f"{kinds(found)}, {size(found.bytes)} more; " if found.banks else "no other banks; "
            yield "  worth it", f"with bank.shared_by: {proposal.shared_by}: {more}{passes(found)}"


def as_json(spec: Spec, plan: Plan) -> dict[str, Any]:
    """The same for programs."""
    made = kept(spec, plan)
    asked = [
        {
            "students": group.students,
            "reason": group.reason,
            "proposal": group.proposal and {"shared_by": group.proposal.shared_by, **_costs(group.proposal.costs)},
        }
        for group in live(spec, made)
    ]
    return {"kept": made and _costs(made), "live": asked}


def kinds(costs: Costs) -> str:
    """logits of 3 teachers, attention of 2 teachers"""
    number = Counter(storage.called(need) for need, storage, _ in costs.banks)
    return ", ".join(f"{called} of {counted(teachers, 'teacher')}" for called, teachers in sorted(number.items()))


def passes(costs: Costs) -> str:
    """7.29 million forward passes fill them, in place of 33 million of 3 students (78 % spared)"""
    spared = f"{costs.spared:.0%}".replace("%", " %") + " spared" if costs.spared >= 0 else "more than they spare"
    who = counted(costs.students, "student") if costs.students else "the searches"
    return f"{many(costs.fill)} forward passes fill them, in place of {many(costs.live)} of {who} ({spared})"


def many(number: int) -> str:
    """11,646 or 7.29 million"""
    for unit, name in ((10**9, "billion"), (10**6, "million")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:,}"


def _costs(costs: Costs) -> dict[str, Any]:
    banks = sorted(costs.banks, key=lambda bank: (bank[0], bank[1].called(bank[0]), bank[2]))
    kinds = [{"need": need.value, "storage": canonical.plain(storage), "teacher": name} for need, storage, name in banks]
    return {"banks": kinds, "bytes": costs.bytes, "forward_passes": costs.fill, "in_place_of": costs.live}
