"""What became of an experiment's claims. Pure functions of the tables of results and evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from kd_core.evaluation.table import EVALUATIONS
from orchestrator.experiment.spec import TEST, Claim
from orchestrator.report.analysis.statistics import Difference, holm, paired, seeds_needed
from orchestrator.report.analysis.summary import LEVEL

HOLDS, FAILS, INCONCLUSIVE, PENDING = "holds", "does not hold", "inconclusive", "not measured yet"
HALF_A_POINT = 0.005  # of accuracy
VERDICTS = (HOLDS, FAILS, INCONCLUSIVE, PENDING)


@dataclass(frozen=True)
class Tested:
    """A claim on one setting: a student model and its recipe. ``difference`` is what is better minus what it is better than,
    ``p`` its p-value after Holm's correction over all claims of the experiment."""

    claim: Claim
    setting: str
    planned: int  # seeds that both methods are to have
    difference: Difference | None
    p: float | None = None

    @property
    def scale(self) -> float:
        """From the number to what is shown: accuracies in points."""
        evaluation, _, number = self.claim.by.partition(".")
        return 1 if number and number in EVALUATIONS[evaluation].unscaled else 100

    @property
    def less_is_better(self) -> bool:
        evaluation, _, number = self.claim.by.partition(".")
        return bool(number) and number in EVALUATIONS[evaluation].less_is_better

    @property
    def seeds_for_half_a_point(self) -> int | None:
        """So many seeds would find a difference of half a point with power 0.8, going by the spread of these; None where no
        spread is known, or the number is no accuracy."""
        found = self.difference
        if found is None or not found.effect or self.scale != 100:
            return None
        return seeds_needed(found.mean / found.effect, HALF_A_POINT)

    @property
    def verdict(self) -> str:
        """Below LEVEL the corrected p tells, by the sign of the difference, whether the claim holds or its opposite does."""
        if self.difference is None:
            return PENDING
        if self.p is None or self.p >= LEVEL:
            return INCONCLUSIVE
        return HOLDS if (self.difference.mean < 0) == self.less_is_better else FAILS


def evaluate_claims(claims: Iterable[Claim], results: pa.Table, evaluations: pa.Table) -> list[Tested]:
    """Every claim on every setting that has both methods, claim by claim."""
    rows = results.to_pylist()
    planned: dict[tuple[str, str], set[int]] = {}
    values: dict[tuple[str, str, str], dict[int, float]] = {}  # by number, setting and label, seed by seed
    for row in rows:
        planned.setdefault((row["setting"], row["method"]), set()).add(row["seed"])
        if row["status"] == "done":
            values.setdefault((TEST, row["setting"], row["method"]), {})[row["seed"]] = row["test_accuracy"]
    for row in evaluations.to_pylist():
        if row["status"] == "done":
            number = f"{row['evaluation']}.{row['name']}"
            values.setdefault((number, row["setting"], row["method"]), {})[row["seed"]] = row["value"]
    found = []
    for claim in claims:
        for setting in dict.fromkeys(row["setting"] for row in rows):
            common = planned.get((setting, claim.better), set()) & planned.get((setting, claim.than), set())
            if common:
                better, than = (values.get((claim.by, setting, label), {}) for label in (claim.better, claim.than))
                found.append(Tested(claim, setting, len(common), paired(better, than)))
    adjusted = holm([each.difference.p if each.difference else None for each in found])
    return [replace(each, p=p) for each, p in zip(found, adjusted, strict=True)]


def verdicts(tested: Sequence[Tested]) -> list[str]:
    """A sentence that counts them; none where nothing was claimed."""
    if not tested:
        return []
    number = {verdict: sum(each.verdict == verdict for each in tested) for verdict in VERDICTS}
    counted = "; ".join(f"{count} {_plural(verdict, count)}" for verdict, count in number.items() if count)
    what = "claim" if len(tested) == 1 else "claims"
    return [f"Of {len(tested)} {what}, tested together with Holm's correction: {counted}."]


def _plural(verdict: str, count: int) -> str:
    return verdict if count == 1 else {HOLDS: "hold", FAILS: "do not hold"}.get(verdict, verdict)
