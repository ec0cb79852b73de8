"""A researcher's own method, model, data set and evaluation without a fork, inline: grid, search, wrappers, keys, errors."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys

import pytest

from kd_core.methods.mgd import BASES
from kd_core.methods.table import METHODS
from kd_core.plugins.tables import in_force, use
from orchestrator import driver
from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError
from orchestrator.experiment.schema import schema
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import make
from orchestrator.report.data.reading import Reading
from orchestrator.report.text.render import FORMATS, render
from orchestrator.stages.runner import Runtime, run_job
from orchestrator.store.store import Store
from tests.support.plugin_files import EXPERIMENT, METHOD, OTHERS


@pytest.fixture(autouse=True)
def ours_alone():
    yield
    use([])


@pytest.fixture
def file(tmp_path):
    """An experiment, and its plugins beside it."""
    (tmp_path / "mine.py").write_text(METHOD)
    (tmp_path / "others.py").write_text(OTHERS)
    (tmp_path / "brought.yaml").write_text(EXPERIMENT.format(store=tmp_path / "store"))
    return tmp_path / "brought.yaml"


def test_all_that_a_plugin_brings_runs_like_ours(file):
    outcome = driver.run(str(file), executor="inline")
    assert (outcome.failed, outcome.blocked) == ((), ())
    rows = outcome.results.to_pylist()
    assert {row["status"] for row in rows} == {"done"}
    assert {"mine", "mgd", "logit_std", "none"} == {row["algorithm"] for row in rows}
    assert set(outcome.evaluations["name"].to_pylist()) == {"sureness"}
    assert outcome.trials.num_rows == 2
    reading = Reading(outcome.plan, outcome.store)
    for format in FORMATS:
        assert "mine searched" in render(reading, format)
    again = driver.run(str(file), executor="inline")
    assert again.computed == 0


def keys(file):
    return {(job.kind, job.title): job.key for job in make(load(str(file)))}


def test_an_edited_method_trains_its_own_students_again_and_nothing_else(file):
    before = keys(file)
    (file.parent / "mine.py").write_text(METHOD.replace("0.5", "0.6"))
    after = keys(file)
    assert before.keys() == after.keys()
    changed = {what for what in before if before[what] != after[what]}
    by_it = {what for what in before if what[0] in ("student", "search", "evaluation") and "none" not in what[1]}
    assert changed == by_it
    assert {kind for kind, _ in changed} == {"student", "search", "evaluation"}
    (file.parent / "mine.py").write_text(METHOD)
    assert keys(file) == before


def test_tables_hold_what_the_experiment_at_hand_names(file, tmp_path):
    load(str(file))
    assert {plugin.name for plugin in in_force()} == {"mine.py", "others.py"}
    assert {"mine"} <= METHODS.keys() & BASES.keys()
    text = json.dumps(schema())
    assert all(f'"{name}"' in text for name in ("mine", "small", "squares", "surest"))
    (tmp_path / "plain.yaml").write_text("name: plain\ndata: {name: digits}\nteachers: {models: resnet8}\n")
    load(str(tmp_path / "plain.yaml"))
    assert in_force() == ()
    assert "mine" not in METHODS
    assert "mine" not in BASES
    assert '"squares"' not in json.dumps(schema())


WRONG = {
    "a name that is taken": (
        "METHODS = {'mine': Mine}",
        "METHODS = {\n    'kd': Mine}",
        r"mine\.py:29: METHODS has 'kd' already",
    ),
    "its own error": ("class Mine(Method):", "class Mine(Methode):", r"mine\.py:12: NameError: name 'Methode'"),
    "a syntax error": ("class Mine(Method):", "class Mine(Method:", r"mine\.py:12: "),
    "an entry of another type": (
        '{"mine": Mine}',
        '{"mine": 3}',
        r"mine\.py:28: METHODS\['mine'\] must be a class .* is a int",
    ),
    "a need that nothing answers": ("{Need.LOGITS}", '{"thoughts"}', r"mine\.py:28: METHODS\['mine'\] needs .*thoughts"),
    "no table": ("METHODS =", "NOTHING =", r"mine\.py:1: holds none of the tables"),
    "a name of strange letters": ('"mine": Mine', '"my method": Mine', r"must have a name of letters"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_plugin_is_told_with_its_file_and_line(file, case):
    old, new, said = WRONG[case]
    text = METHOD.replace('METHODS = {"mine": Mine}', "METHODS = {'mine': Mine}") if "'mine'" in old else METHOD
    assert old in text
    (file.parent / "mine.py").write_text(text.replace(old, new))
    with pytest.raises(SpecError, match=said):
        load(str(file))
    assert in_force() == ()


def test_the_command_ends_with_2_and_without_a_trace(file):
    (file.parent / "mine.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "plan", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "plugins[0]" in done.stderr
    assert "mine.py: no such file" in done.stderr
    assert "Traceback" not in done.stderr


def _in_another_process(job: Job, store: str) -> None:
    run_job(job, Runtime(store))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_has_the_plugin_from_the_store(file, method):
    """The file beside the experiment is gone: what counts is what the driver has read."""
    spec = load(str(file))
    store = Store(spec.store)
    from kd_core.plugins.tables import known
    from orchestrator.store.plugins import keep

    for plugin in spec.plugins:
        keep(known(plugin.sha256), store)
    job = make(spec).of("teacher")[0]
    (file.parent / "others.py").unlink()
    use([])
    worker = multiprocessing.get_context(method).Process(target=_in_another_process, args=(job, store.location))
    worker.start()
    worker.join(120)
    assert worker.exitcode == 0
    assert store.entry("teacher", job.key).results["parameters"] > 0


def test_a_package_beside_the_experiment(file):
    folder = file.parent / "my_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "inner.py").write_text(METHOD)
    (folder / "kd.py").write_text("from my_package.inner import METHODS\n")
    file.write_text(file.read_text().replace("mine.py", "my_package.kd"))
    spec = load(str(file))
    assert spec.plugins[0].name == "my_package.kd"
    first = keys(file)
    (folder / "inner.py").write_text(METHOD.replace("0.5", "0.6"))
    with pytest.raises(SpecError, match="another version of my_package is in this process"):
        load(str(file))
    (folder / "inner.py").write_text(METHOD)
    assert keys(file) == first
