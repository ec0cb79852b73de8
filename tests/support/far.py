"""Looks at a store from a host that reaches it, and prints JSON.

python -m tests.support.far WHAT FILE STORE [FIELD=VALUE …] [KIND]
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from orchestrator.experiment.load import load
from orchestrator.planning.plan import Plan, make
from orchestrator.planning.state import checkpointed
from orchestrator.store.store import Store
from tests.orchestrator.test_driver import content


def training(plan: Plan, store: Store, kind: str, least: int = 3) -> dict[str, Any]:
    """The process that trains a job of a kind, and where it is, as soon as it is past some epochs."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        for job in plan.of(kind):
            epoch = checkpointed(store.work(job))
            if least <= epoch < job.epochs - 1 and (progress := store.progress(job)):
                return {"pid": progress["pid"], "key": job.key, "epoch": epoch}
        time.sleep(0.1)
    raise SystemExit(f"no {kind} reached epoch {least}")


def results(plan: Plan, store: Store) -> Any:
    """All that the results consist of."""
    return content(store, plan)


def runs(plan: Plan, store: Store) -> list[list[str]]:
    """Key and status of every run that MLflow has."""
    from mlflow import MlflowClient

    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(plan.name)
    assert experiment
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    return sorted([run.data.tags["mlflow.kd.key"], run.info.status] for run in found)


def holding(plan: Plan, store: Store) -> list[str]:
    """Objects of the store's bucket that hold one of the secrets of this host."""
    import boto3

    bucket = store.location.removeprefix("s3://").partition("/")[0]
    secrets = [path.read_bytes() for path in Path("/run/secrets").iterdir() if not path.suffix]
    client = boto3.client("s3")
    listed = [
        one["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket) for one in page["Contents"]
    ]
    assert len(listed) > 10
    bodies = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in listed}
    return [key for key, body in bodies.items() if any(secret in body for secret in secrets)]


if __name__ == "__main__":
    what, file, place, *more = sys.argv[1:]
    words = [word for word in more if "=" not in word]
    made = make(load(file, [word for word in more if "=" in word], place))
    print(json.dumps(globals()[what](made, Store(place), *words)))
