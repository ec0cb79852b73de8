"""Claims: values by hand, verdicts, and how they are shown."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pyarrow as pa
import pytest

from orchestrator.experiment.spec import Claim
from orchestrator.report.analysis.claims import evaluate_claims, verdicts
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import EVALUATIONS, RESULTS
from orchestrator.report.text.render import FORMATS, render
from orchestrator.report.text.terminal import terminal
from tests.support.report_world import a_plan, a_store

NOTHING = EVALUATIONS.empty_table()
VALUES = {"none": (0.90, 0.91, 0.92), "kd": (0.92, 0.94, 0.93), "gpac": (0.94, 0.96, 0.95)}


def claim(better, than, by="test", text="a claim"):
    return Claim(text, better, than, by)


def results(values=VALUES, setting="resnet8"):
    rows = [
        {
            "setting": setting,
            "method": method,
            "seed": seed,
            "status": "missing" if value is None else "done",
            "test_accuracy": value,
        }
        for method, those in values.items()
        for seed, value in enumerate(those)
    ]
    return pa.Table.from_pylist(rows, schema=RESULTS)


def numbers(name, values, evaluation="calibration"):
    rows = [
        {
            "setting": "resnet8",
            "method": method,
            "seed": seed,
            "status": "done",
            "evaluation": evaluation,
            "name": name,
            "value": value,
        }
        for method, those in values.items()
        for seed, value in enumerate(those)
    ]
    return pa.Table.from_pylist(rows, schema=EVALUATIONS)


def test_two_claims_by_hand():
    # kd − none: 0.02, 0.03, 0.01: mean 0.02, std 0.01; gpac − none: 0.04, 0.05, 0.03: mean 0.04, std 0.01. With 2 degrees of
    # freedom p = 1 − t / √(t² + 2), t = √12 and √48: 0.0742 and 0.0202. Holm: 0.0742 · 1 and 0.0202 · 2 = 0.0404
    kd, gpac = evaluate_claims([claim("kd", "none"), claim("gpac", "none")], results(), NOTHING)
    assert (kd.difference.mean, kd.difference.effect) == (pytest.approx(0.02), pytest.approx(2))
    assert (gpac.difference.mean, gpac.difference.effect) == (pytest.approx(0.04), pytest.approx(4))
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert gpac.difference.interval == pytest.approx((0.04 - half, 0.04 + half), abs=1e-8)
    assert kd.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert gpac.p == pytest.approx(2 * (1 - math.sqrt(48 / 50)))
    assert (kd.verdict, gpac.verdict) == ("inconclusive", "holds")


def test_any_two_methods_are_compared():
    # gpac − kd is 0.02 at every seed: no spread, no test. none − gpac is −0.04, −0.05, −0.03: p = 0.0202
    even, against = evaluate_claims([claim("gpac", "kd"), claim("none", "gpac")], results(), NOTHING)
    assert (even.difference.mean, even.p, even.verdict) == (pytest.approx(0.02), None, "inconclusive")
    assert (against.difference.mean, against.verdict) == (pytest.approx(-0.04), "does not hold")
    assert against.p == pytest.approx(1 - math.sqrt(48 / 50))  # alone in its family


def test_holm_takes_in_all_claims():
    # three claims with p = 0.0202 each: 0.0607
    claims = [claim("gpac", "none"), claim("none", "gpac"), claim("gpac", "none", "calibration.ece")]
    found = evaluate_claims(claims, results(), numbers("ece", VALUES))
    assert [each.p for each in found] == pytest.approx([3 * (1 - math.sqrt(48 / 50))] * 3)
    assert {each.verdict for each in found} == {"inconclusive"}


@pytest.mark.parametrize(
    ("by", "better", "verdict", "scale"),
    [
        ("calibration.ece", "none", "holds", 100),
        ("calibration.ece", "gpac", "does not hold", 100),
        ("calibration.nll", "none", "holds", 1),
        ("robustness.accuracy@0.1", "gpac", "holds", 100),
        ("robustness.accuracy@0.1", "none", "does not hold", 100),
    ],
)
def test_the_direction_is_that_of_the_number(by, better, verdict, scale):
    """By itself gpac is 0.04 above none, with p = 0.0202."""
    than = {"none": "gpac", "gpac": "none"}[better]
    evaluation, _, name = by.partition(".")
    [found] = evaluate_claims([claim(better, than, by)], results(), numbers(name, VALUES, evaluation))
    assert (found.verdict, found.scale) == (verdict, scale)


def test_only_seeds_that_both_have_are_paired_and_the_others_are_counted():
    [found] = evaluate_claims(
        [claim("kd", "none")], results({"none": (0.90, None, 0.92, 0.9), "kd": (0.92, 0.94, 0.93)}), NOTHING
    )
    assert (found.difference.n, found.planned) == (2, 3)
    assert found.difference.mean == pytest.approx(0.015)


def test_what_is_not_measured_is_not_judged():
    nothing = {"none": (None, None), "kd": (0.9, 0.9)}
    found = evaluate_claims([claim("kd", "none"), claim("kd", "none", "calibration.ece")], results(nothing), NOTHING)
    assert [(each.difference, each.planned, each.verdict) for each in found] == [(None, 2, "not measured yet")] * 2


def test_every_setting_is_tested_by_itself():
    both = pa.concat_tables(
        [results(), results({"none": VALUES["gpac"], "gpac": VALUES["none"]}, "resnet14"), results({"kd": (1,)}, "x")]
    )
    found = evaluate_claims([claim("gpac", "none")], both, NOTHING)
    assert [(each.setting, each.verdict) for each in found] == [("resnet8", "holds"), ("resnet14", "does not hold")]


def test_they_are_counted_in_a_sentence():
    assert verdicts([]) == []
    claims = [claim("gpac", "none"), claim("gpac", "kd"), claim("none", "kd", "calibration.ece")]
    assert verdicts(evaluate_claims(claims, results(), NOTHING)) == [
        "Of 3 claims, tested together with Holm's correction: 1 holds; 1 inconclusive; 1 not measured yet."
    ]
    assert verdicts(evaluate_claims(claims[:1], results(), NOTHING)) == [
        "Of 1 claim, tested together with Holm's correction: 1 holds."
    ]


CLAIMS = (claim("gpac", "none", text="distillation | helps"), claim("none", "kd", text="KD hurts"))


@pytest.fixture
def world(tmp_path):
    plan = replace(a_plan(VALUES), claims=CLAIMS)
    return plan, a_store(tmp_path, plan, VALUES)


def test_markdown_has_the_table(world):
    text = render(Reading(*world), "md")
    assert "Of 2 claims, tested together with Holm's correction: 1 holds; 1 inconclusive." in text
    assert (
        "| claim | seeds | difference [95 % CI] | effect | p | p (Holm) | seeds for 0.5 | verdict | by | methods |\n"
        "|:--|--:|--:|--:|--:|--:|--:|--:|:--|:--|\n"
        "| distillation \\| helps | 3/3 | +4.00 [+1.52, +6.48] | +4.00 | 0.020 | 0.040 | 34 | **holds** | test "
        "| gpac against none |\n"
        "| KD hurts | 3/3 | −2.00 [−4.48, +0.48] | −2.00 | 0.074 | 0.074 | 34 | inconclusive | test | none against kd |\n"
    ) in text


def test_the_terminal_leaves_out_columns_but_not_the_verdict(world):
    wide, narrow = terminal(Reading(*world), width=150), terminal(Reading(*world), width=70)
    assert re.search(
        r"helps +3/3  \+4.00 \[\+1.52, \+6.48\]   \+4.00  0.020     0.040 +34 +\* holds  test  gpac against none\n", wide
    )
    assert re.search(r"KD hurts  +3/3  −2.00 \[−4.48, \+0.48\]     0.074  inconclusive\n", narrow)
    assert wide.endswith("Of 2 claims, tested together with Holm's correction: 1 holds; 1 inconclusive.\n")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "csv"])
def test_without_claims_there_is_no_table(world, format):
    plan, store = world
    assert "KD hurts" in render(Reading(plan, store), format)
    assert "Claims" not in render(Reading(replace(plan, claims=()), store), format)
