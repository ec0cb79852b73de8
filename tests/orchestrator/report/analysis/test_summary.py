import math

import pytest

from orchestrator.report.analysis.summary import Absent, findings, summarise
from orchestrator.report.data.probe_grid import Grid, grid, selections
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import probes, results
from tests.support.report_world import LAYERS, PROBES, RESULTS, TEACHERS, a_plan, a_store


def cells_of(tmp_path, values, **changes):
    plan = a_plan(values, **changes)
    return summarise(results(Reading(plan, a_store(tmp_path, plan, values))))


def test_cells_by_hand(tmp_path):
    plain, kd, gpac = cells_of(tmp_path, RESULTS)
    assert (plain.control, plain.difference, plain.p) == (True, None, None)
    assert (plain.test.mean, plain.test.std) == (pytest.approx(0.91), pytest.approx(0.01))
    assert kd.validation.mean == pytest.approx(0.94)
    assert kd.test_last.mean == pytest.approx(0.92)
    assert kd.seconds.mean == pytest.approx(21)
    # kd: differences 0.02, 0.03, 0.01; gpac: 0.04, 0.05, 0.03; p = 1 − t / √(t² + 2) with t = √12 and √48, Holm: × 1 and × 2
    assert kd.difference.mean == pytest.approx(0.02)
    assert kd.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert gpac.p == pytest.approx(2 * (1 - math.sqrt(48 / 50)))
    assert (kd.verdict, gpac.verdict) == ("even", "better")


def test_absent_seeds_are_left_out_and_told(tmp_path):
    _, kd = cells_of(tmp_path, {"none": (0.90, 0.91, 0.93), "kd": (0.92, None, 0.94)})
    assert (kd.done, kd.planned, kd.absent) == (2, 3, (Absent(1, "missing", "not run yet"),))
    assert kd.test.mean == pytest.approx(0.93)
    assert (kd.difference.n, kd.difference.mean) == (2, pytest.approx(0.015))


def test_each_student_has_its_own_control_and_family(tmp_path):
    cells = cells_of(tmp_path, RESULTS, models=("resnet8", "resnet14"))
    alone = cells_of(tmp_path / "alone", RESULTS)
    assert [cell.setting for cell in cells] == ["resnet8"] * 3 + ["resnet14"] * 3
    assert [cell.p for cell in cells] == [cell.p for cell in alone] * 2


def test_the_control_must_share_the_recipe(tmp_path):
    longer = a_plan({"none": (0.9, 0.9), "kd": (0.95, 0.96)}, epochs=(4, 8))
    store = a_store(tmp_path, longer, {"none": (0.9, 0.9), "kd": (0.95, 0.96)})
    table = results(Reading(longer, store))
    without = table.filter([not (row["algorithm"] == "none" and row["epochs"] == 8) for row in table.to_pylist()])
    assert [(cell.setting, cell.method, cell.difference is None) for cell in summarise(without)] == [
        ("resnet8 (epochs=4)", "none", True),
        ("resnet8 (epochs=4)", "kd", False),
        ("resnet8 (epochs=8)", "kd", True),
    ]


def test_findings_name_what_beats_what_falls_behind_and_what_cannot_be_told(tmp_path):
    values = {**RESULTS, "at": (0.87, 0.881, 0.89), "aver": (0.92, 0.93, 0.94)}
    lead, told = findings(cells_of(tmp_path, values), numbers=False)
    assert lead == (
        "Distillation helped in 1 of 4 comparisons with plain training (95 % confidence interval above zero), 1 of them also "
        "after Holm's correction; 1 hurt; 1 cannot be told apart at this number of seeds; 1 cannot be tested."
    )
    assert told == (
        "resnet8: gpac beats plain training; at falls behind plain training; kd cannot be told apart from plain training; "
        "aver cannot be tested against plain training."
    )


def test_findings_give_the_numbers(tmp_path):
    _, told = findings(cells_of(tmp_path, RESULTS))
    assert told == (
        "resnet8: gpac (+4.00 points, 95 % CI [+1.52, +6.48], Holm p = 0.040, n = 3) beats plain training; "
        "kd (+2.00 points, 95 % CI [−0.48, +4.48], Holm p = 0.074, n = 3) cannot be told apart from plain training."
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"kd": (0.9, 0.9)}, "there is no plain training (method none) to compare with."),
        ({"none": (0.9, 0.9)}, "there is no distillation to compare with plain training."),
        ({"none": (0.9, None), "kd": (None, 0.9)}, "kd shares no finished seed with plain training."),
    ],
)
def test_findings_where_nothing_can_be_compared(tmp_path, values, expected):
    assert findings(cells_of(tmp_path, values)) == ["Whether distillation helped cannot be said yet.", f"resnet8: {expected}"]


def test_one_seed_claims_nothing(tmp_path):
    lead, told = findings(cells_of(tmp_path, {"none": (0.90,), "kd": (0.99,)}))
    assert lead.startswith("Distillation did not measurably help: in none of 1 comparisons")
    assert told == "resnet8: kd (+9.00 points, n = 1) cannot be tested against plain training."


def test_the_grid_of_probes(tmp_path):
    plan = a_plan()
    found = grid(probes(Reading(plan, a_store(tmp_path, plan))))
    assert (found.teachers, found.layers) == (tuple(TEACHERS), LAYERS)
    assert [found.accuracy["resnet32-s0", layer] for layer in LAYERS] == list(PROBES["resnet32-s0"])
    leading = [[name for name in found.teachers if found.leads(name, layer)] for layer in LAYERS]
    assert leading == [["resnet20-s0"], ["resnet32-s0"], ["wrn_16_2-s0"], ["wrn_16_2-s0"]]


def test_of_equal_probes_each_leads():
    """And a teacher of fewer stages leads none that it has not."""
    found = Grid(("a", "b", "c"), ("stage0", "stage1"), {("a", "stage0"): 0.5, ("b", "stage0"): 0.5, ("b", "stage1"): 0.4})
    assert [[found.leads(name, layer) for layer in found.layers] for name in found.teachers] == [
        [True, False],
        [True, True],
        [False, False],
    ]


def test_selection_is_told_before_any_student_of_gpac_is_trained(tmp_path):
    values = {"none": (0.9,), "gpac": (None,)}
    plan = a_plan(values, models=("resnet8", "resnet14"))
    [found] = selections(Reading(plan, a_store(tmp_path, plan, values)))
    assert (found.students, found.methods, found.teachers) == (("resnet8", "resnet14"), ("gpac",), tuple(TEACHERS))
    assert found.sizes == ((8, 8), (4, 4), (2, 2))
    assert found.weight_ML == ((1, 0, 0), (0, 1, 0), (0, 0, 1))  # top 1: the best probe of each stage
    assert found.accuracy_ML[1] == PROBES["resnet32-s0"][:3]


def test_no_selection_before_the_probes(tmp_path):
    plan = a_plan()
    store = a_store(tmp_path, plan)
    (store.root / "probe").rename(tmp_path / "gone")
    assert selections(Reading(plan, store)) == []
