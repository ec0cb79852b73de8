from dataclasses import replace

import matplotlib.image
import pytest

from orchestrator.experiment.spec import Claim
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import PROBES, probes
from orchestrator.report.figures.charts import charts
from orchestrator.report.figures.plots import COLORS, heat_map
from tests.support.report_world import a_plan, a_store


def test_the_heat_map_is_a_picture_that_grows_with_the_table(tmp_path):
    plan = a_plan()
    table = probes(Reading(plan, a_store(tmp_path / "store", plan)))
    heat_map(table, tmp_path / "all.png")
    heat_map(table.slice(0, 8), tmp_path / "one.png")  # one teacher
    every, one = (matplotlib.image.imread(tmp_path / name) for name in ("all.png", "one.png"))
    assert every.shape[0] - one.shape[0] == 2 * 0.5 * 180
    assert every[..., :3].std() > 0.1


def test_a_teacher_without_a_layer_leaves_a_hole(tmp_path):
    plan = a_plan()
    table = probes(Reading(plan, a_store(tmp_path / "store", plan)))
    heat_map(table.slice(4), tmp_path / "hole.svg")  # the first teacher has no probe at its first two stages
    text = (tmp_path / "hole.svg").read_text()
    assert text.count(">70.0<") == 0
    assert text.count(">96.0<") == 1


def test_no_heat_map_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="no teacher has been probed yet"):
        heat_map(PROBES.empty_table(), tmp_path / "none.png")


def test_charts_say_who_is_who(tmp_path):
    plan = a_plan()
    accuracy, learning, weights = charts(Reading(plan, a_store(tmp_path, plan)))
    for label in ("none", "kd", "gpac"):
        assert f">{label}<" in accuracy.svg
        assert f">{label}<" in learning.svg
    for teacher in ("resnet20-s0", "resnet32-s0", "wrn_16_2-s0"):
        assert f">{teacher}<" in weights.svg
    assert ">resnet8, gpac<" in weights.svg
    assert ">resnet8, none<" not in weights.svg
    assert "currentColor" in accuracy.svg


def test_a_chart_of_the_claims(tmp_path):
    texts = [("gpac helps", "gpac", "none"), ("kd hurts", "none", "kd"), ("gpac hurts", "none", "gpac")]
    plan = replace(a_plan(), claims=tuple(Claim(*text, "test") for text in texts[:2]))
    store = a_store(tmp_path, plan)
    chart = charts(Reading(plan, store))[1]
    assert chart.title.startswith("Claims")
    assert all(f">{word}<" in chart.svg for word in ("gpac helps", "kd hurts", "test accuracy", "difference, points"))
    assert COLORS[2] in chart.svg  # holds: p = 0.040
    assert COLORS[-1] in chart.svg  # inconclusive
    assert COLORS[4] not in chart.svg
    opposite = replace(plan, claims=(Claim(*texts[2], "test"),))
    assert COLORS[4] in charts(Reading(opposite, store))[1].svg


def test_no_charts_of_nothing(tmp_path):
    plan = a_plan()
    plan = replace(plan, claims=(Claim("kd helps", "kd", "none", "test"),))
    store = a_store(tmp_path, plan)
    store.root.joinpath("student").rename(tmp_path / "gone")
    store.root.joinpath("teacher").rename(tmp_path / "gone too")
    assert charts(Reading(plan, store)) == []
