"""What the experiment claims, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.report.analysis.claims import FAILS, HOLDS, PENDING, Tested
from orchestrator.report.analysis.formatting import NOTHING, percent_interval, points, probability
from orchestrator.report.analysis.summary import LEVEL
from orchestrator.report.tables.table import Column, Table, Value


def of_claims(claims: Sequence[Tested]) -> Table:
    """A row per claim and, where there are several settings, setting."""
    several = len({each.setting for each in claims}) > 1
    rows = []
    for each in claims:
        found, claim = each.difference, each.claim
        text = NOTHING if found is None else points(found.mean, each.scale)
        if found and found.interval:
            text += f" {percent_interval(found.interval, each.scale)}"
        done = found.n if found else 0
        tone = {HOLDS: "better", FAILS: "worse", PENDING: "bad"}.get(each.verdict, "")
        rows.append(
            (
                Value(claim.text),
                *([Value(each.setting)] if several else []),
                Value(f"{done}/{each.planned}", tone="bad" if done < each.planned else ""),
                Value(text),
                Value(NOTHING if found is None or found.effect is None else points(found.effect, 1)),
                Value(probability(found.p if found else None)),
                Value(probability(each.p)),
                Value(NOTHING if each.seeds_for_half_a_point is None else str(each.seeds_for_half_a_point)),
                Value(each.verdict, strong=each.verdict in (HOLDS, FAILS), tone=tone),
                Value(claim.by + (" (less is better)" if each.less_is_better else "")),
                Value(f"{claim.better} against {claim.than}"),
            )
        )
    return Table(
        "Claims",
        (
            Column("claim", left=True),
            *([Column("student", left=True)] if several else []),
            Column("seeds", rank=1),
            Column("difference [95 % CI]"),
            Column("effect", rank=4),
            Column("p", rank=3),
            Column("p (Holm)"),
            Column("seeds for 0.5", rank=4),
            Column("verdict"),
            Column("by", left=True, rank=2),
            Column("methods", left=True, rank=5),
        ),
        (tuple(rows),) if rows else (),
        caption=(
            "Differences in points, paired by seed, with the 95 % confidence interval of Student's t.",
            f"A claim holds where p, corrected by Holm over all claims, is below {LEVEL:g} and the difference goes its way; it "
            "does not hold where p is below that and the difference goes the other way; else these seeds cannot tell.",
            "The effect is the mean difference over its standard deviation; seeds for 0.5 is how many a difference of half a "
            "point would need to be found four times of five, uncorrected, going by the spread seen here.",
        ),
        strong="what can be told",
    )
