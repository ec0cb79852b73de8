"""What the demo must have left: every row of every table, sound entries, a finished MLflow run per job, an idle second run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pyarrow.compute as pc

from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import probes, results
from orchestrator.store.store import Store


def check(condition: bool, what: str) -> None:
    print(("ok    " if condition else "WRONG ") + what)
    if not condition:
        sys.exit(1)


def main(file: str) -> None:
    spec = load(file)
    plan, store = make(spec), Store(spec.store)

    table = results(Reading(plan, store))
    methods = {student.method.name for student in spec.students}
    check({"none", "kd", "at", "aver", "gpac"} <= methods, f"methods: {', '.join(sorted(methods))}")
    check(len({teacher.model for teacher in spec.teachers}) >= 2 and len(spec.teachers) >= 3, "three teachers of two models")
    check(table.num_rows == len(spec.students) == len(plan.of("student")), f"{table.num_rows} student rows")
    check(set(table["status"].to_pylist()) == {"done"}, "every student is done")
    check(pc.min(table["test_accuracy"]).as_py() > 0.8, f"worst test accuracy {pc.min(table['test_accuracy']).as_py():.3f}")

    probed = probes(Reading(plan, store))
    stages = {(row["teacher"], row["stage"]) for row in probed.to_pylist()}
    check(len(stages) == 4 * len(spec.teachers), f"{len(stages)} probed layers: three stages and the embedding of each teacher")
    check(probed.num_rows == 2 * len(stages), f"{probed.num_rows} probe rows (teacher, layer, split)")
    check(all(0 <= accuracy <= 1 for accuracy in probed["accuracy"].to_pylist()), "probe accuracies in [0, 1]")

    for job in plan:
        check(store.find(job.kind, job.key, deep=True) is not None, f"{job.kind} {job.short} {job.title}: every byte as stated")

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{Path(spec.store).absolute()}/mlflow.db")
    experiment = client.get_experiment_by_name(spec.name)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    tracked = [job for job in plan if job.kind != "bank"]
    keys = [run.data.tags["mlflow.kd.key"] for run in runs]
    cells = {student.cell for student in spec.students}
    expected = len(tracked) + len(cells) + 1
    check(len(runs) == len(set(keys)) == expected, f"{len(runs)} MLflow runs: one per job and cell, and their parent")
    means = [run.data.metrics for run in runs if run.data.tags.get("kd.stage") == "cell"]
    check(len(means) == len(cells), f"{len(means)} cells")
    check(all(mean["test/accuracy.n"] == len({s.seed for s in spec.students}) for mean in means), "each over all its seeds")
    check({job.key for job in tracked} <= set(keys), "every job has its run")
    check({run.info.status for run in runs} == {"FINISHED"}, "every run is FINISHED")
    students = [run for run in runs if run.data.tags.get("kd.stage") == "student"]
    epochs = {student.recipe.epochs for student in spec.students}
    points = {len(client.get_metric_history(run.info.run_id, "validation/accuracy")) for run in students}
    check(points == epochs, f"{points} points of validation accuracy per student")

    began = time.monotonic()
    again = subprocess.run([Path(sys.executable).parent / "kd", "run", file], capture_output=True, text=True)
    seconds = time.monotonic() - began
    check(again.returncode == 0 and seconds < 10, f"a second run does nothing, in {seconds:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1])
