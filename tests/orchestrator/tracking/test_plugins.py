"""What a plugin's own method says of itself is in MLflow under its own names, wherever the store is."""

from __future__ import annotations

import shutil

import pytest
from mlflow import MlflowClient

from kd_core.plugins.tables import use
from orchestrator import driver
from tests.support.plugin_files import EXPERIMENT, METHOD, OTHERS
from tests.support.tracking_world import dump


@pytest.fixture(autouse=True)
def ours_alone():
    yield
    use([])


def test_curves_and_knobs_have_the_names_that_the_plugin_gives(place, tmp_path, empty):
    (tmp_path / "mine.py").write_text(METHOD)
    (tmp_path / "others.py").write_text(OTHERS)
    file = tmp_path / "brought.yaml"
    database = f"sqlite:///{shutil.copy(empty, tmp_path / 'mlflow.db')}"
    tracked = EXPERIMENT.replace("{{enabled: false}}", f"{{{{uri: '{database}'}}}}")
    file.write_text(tracked.format(store=place))
    outcome = driver.run(str(file), executor="inline")
    assert (outcome.failed, outcome.blocked, outcome.notes) == ((), (), ())
    held = dump(MlflowClient(database), artifacts=False)
    of = {job.labels["method"]: held[job.key] for job in outcome.plan.of("student")}
    apart = {label for label, run in of.items() if "loss/apart" in {name for name, *_ in run["points"]}}
    assert apart == {"mine", "mgd", "logit_std", "mine searched"} & set(of) == set(of) - {"none"}
    assert {"weight/mine", "loss/ce"} <= {name for name, *_ in of["mine"]["points"]}
    assert of["mine"]["params"]["method.knobs.weight"] == "0.5"
    assert of["mine"]["params"]["data.name"] == "squares"
