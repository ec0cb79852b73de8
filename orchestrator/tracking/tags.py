"""The tags by which a projection finds its runs again.

They begin with ``mlflow.``: MLflow's pages show no such tag, and offer none to group runs by. Every other tag of a run,
``kd.method`` and the like, is there to be read.
"""

from __future__ import annotations

KEY = "mlflow.kd.key"  # names the run within its experiment
WRITTEN = "mlflow.kd.written"  # the fingerprint of what it holds
EPOCHS = "mlflow.kd.epochs"  # the mark of the epochs in it
JOB = "mlflow.kd.job"  # of a trial: its key in the store
OLDER = {name: name.removeprefix("mlflow.") for name in (KEY, WRITTEN, EPOCHS, JOB)}  # as they were called before
