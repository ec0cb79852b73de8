"""The table of a teacher's probes."""

from __future__ import annotations

from kd_core.probes.probe import Row
from orchestrator.stages.probe import probe_table
from orchestrator.store.artifacts import PROBES

ROWS = [
    Row(stage, layer, 8 >> stage, 8 >> stage, 16, split, accuracy, 0.1, 1.0, 9, True, 0.1)
    for stage, layer, accuracy in ((0, "first", 0.5), (1, "second", 0.75), (2, "embedding", 1.0))
    for split in ("train", "validation")
]


def test_the_table_holds_the_rows_of_a_teacher():
    made = probe_table(ROWS, teacher="abc", model="tiny", seed=3)
    assert made.schema == PROBES.schema
    assert made.num_rows == len(ROWS)
    first = made.to_pylist()[0]
    assert (first["teacher"], first["model"], first["seed"], first["regularisation"]) == ("abc", "tiny", 3, 1.0)
    assert made["accuracy"].to_pylist() == [row.accuracy for row in ROWS]
    assert made["split"].to_pylist() == ["train", "validation"] * 3
    assert probe_table([], teacher="abc", model="tiny", seed=3).schema == PROBES.schema
