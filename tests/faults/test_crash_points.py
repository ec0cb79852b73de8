"""A run is struck at any of its steps, and again while it goes on: the same command always ends with the same results."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.logs import LOGS
from orchestrator.store.store import Store
from tests.faults.crash import FULL, KILLED, READ_ONLY, run_struck
from tests.orchestrator.test_driver import content

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("KD_CRASHES", "20"))  # more of them, to look for what 20 do not find

EXPERIMENT = """\
name: crash
store: {store}
data: {{name: digits, train_size: 60}}
teachers: {{models: resnet8, recipe: {{epochs: 2, batch_size: 32}}}}
students:
  models: resnet8
  methods:
    - none
    - gpac
    - kd: {{search: {{space: {{temperature: {{choice: [1, 4]}}}}, trials: 2, searcher: grid, scheduler: none}}}}
  recipe: {{epochs: 2, batch_size: 32}}
bank: {{mode: "on"}}
tracking: {{enabled: false}}
"""


def written(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "crash.yaml"
    file.write_text(EXPERIMENT.format(store=folder / "store"))
    return file


def found(file: Path):
    spec = load(file)
    return content(Store(spec.store), make(spec))


def left(file: Path) -> list[str]:
    """Files of the store that belong to no result, but for logs, and results of which there are two."""
    spec = load(file)
    store = Store(spec.store)
    plan = make(spec)
    whole = {job.key for job in plan}
    over = []
    for kind in store.backend.folders(""):
        if kind == LOGS:  # of attempts that failed, too
            continue
        if kind not in {"teacher", "probe", "bank", "search", "trial", "student", "plugins"}:
            over += [f"{kind}/{name}" for name in store.backend.tree(kind)]
            continue
        for key in store.backend.folders(kind):
            attempts = store.backend.folders(f"{kind}/{key}")
            if (key not in whole and kind != "trial") or len(attempts) != 1:
                over.append(f"{kind}/{key}: {attempts}")
    return [name for name in over if not name.startswith(("locks/", "logs/"))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The results of an undisturbed run, and how many changes of the store it makes."""
    file = written(tmp_path_factory.mktemp("undisturbed"))
    code, steps = run_struck(file)
    assert code == 0
    assert left(file) == []
    return found(file), steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("struck")


@pytest.mark.timeout(300 + 30 * EXAMPLES)
@settings(max_examples=EXAMPLES, deadline=None, print_blob=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    fault=st.sampled_from([KILLED, KILLED, FULL, READ_ONLY]),
    first=st.floats(0, 1, exclude_max=True),
    second=st.none() | st.floats(0, 1, exclude_max=True),
)
@example(fault=KILLED, first=0.0, second=None)
@example(fault=FULL, first=0.0, second=None)
@example(fault=READ_ONLY, first=0.5, second=0.5)
def test_struck_anywhere_it_goes_on_to_the_same(undisturbed, folder, fault, first, second):
    """``first`` and ``second``: where in the run, as parts of the steps of an undisturbed one."""
    expected, steps = undisturbed
    shutil.rmtree(folder, ignore_errors=True)
    file = written(folder)
    at = 1 + int(first * steps)
    code, reached = run_struck(file, fault, at)
    assert fault != KILLED or code == -9 or reached < at, "it was not struck, for all that it came there"
    assert code in (-9, 0, 1, 2), "what it says of a disk that is full is no sentence of ours"
    if second is not None:
        run_struck(file, KILLED, 1 + int(second * steps))
    code, _ = run_struck(file)
    assert code == 0
    assert found(file) == expected
    assert left(file) == []
    code, _ = run_struck(file)
    assert code == 0
