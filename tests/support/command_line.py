"""The command `kd` as it is typed, on a small experiment whose store is made by hand."""

from __future__ import annotations

import os
import subprocess
import sys

from orchestrator.cli.app import main
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.store import Store
from tests.support.paths import ROOT
from tests.support.world import finish_job

YAML = """\
name: toy
store: {store}
data: {{name: digits, train_size: 100}}
teachers:
  models: [resnet8, resnet14]
  recipe: {{epochs: 10}}
students:
  models: resnet8
  seeds: [0, 1]
  methods: [none, kd]
  recipe: {{epochs: 10}}
bank: {{mode: "off"}}
tracking: {{enabled: false}}
"""


def opened(file, *sets):
    spec = load(file, sets)
    return make(spec), Store(spec.store)


def complete(file, *sets):
    plan, store = opened(file, *sets)
    for job in plan:
        finish_job(store, job)
    return plan, store


def printed(capsys, *arguments, code=0):
    assert main(arguments) == code
    return capsys.readouterr()


def kd(*arguments, **options):
    command = "import sys; from orchestrator.cli.app import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run([sys.executable, "-c", command, *arguments], text=True, timeout=60, env=environment, **streams)
