"""What MLflow costs: finished students are mirrored by `kd track`, and the list of runs is asked for as MLflow's page does.

Command:  python experiments/benchmarks/tracking.py [--students 2000] [--epochs 60] [--uri postgresql://USER:PASSWORD@HOST/NAME]
Prints:   seconds and CPU seconds of the first `kd track`, of one with nothing to do, and of the first 100 runs from a server.
Expect:   docs/scaling.md. Without --uri it is SQLite, in a temporary folder. A database should be empty.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import no_op

YAML = """\
name: tracked
store: {store}
data: {{name: digits}}
students:
  models: [resnet8]
  seeds: {seeds}
  methods: [none]
  recipe: {{epochs: {epochs}, lr: {rates}}}
tracking: {{uri: "{uri}"}}
"""
SEEDS = 10  # of a cell
ASKED = 5  # times


def grid(folder: Path, students: int, epochs: int, uri: str) -> Path:
    """An experiment of so many plain students, ten seeds of each learning rate."""
    rates = [round(0.01 + 0.0001 * number, 6) for number in range(max(1, students // SEEDS))]
    file = folder / "tracked.yaml"
    file.write_text(YAML.format(store=folder / "store", seeds=list(range(SEEDS)), rates=rates, epochs=epochs, uri=uri))
    return file


def track(file: Path) -> tuple[float, float]:
    """Wall and CPU seconds of `kd track`, starting up included."""
    began, before = time.monotonic(), os.times()
    subprocess.run([sys.executable, "-m", "orchestrator", "track", str(file)], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return time.monotonic() - began, after.children_user + after.children_system - before.children_user - before.children_system


def asked(file: Path) -> list[float]:
    """Seconds until the first 100 runs are there, in the order of `kd ui`, each time that its server is asked for them."""
    from orchestrator.experiment.load import load
    from orchestrator.tracking.ui import VIEW, ui

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    interface = ui(load(file), port)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(interface.command, env=os.environ | interface.environment, **quiet)
    try:
        base = f"http://127.0.0.1:{port}/api/2.0/mlflow"
        until = time.monotonic() + 120
        while True:
            try:
                found = posted(f"{base}/experiments/search", {"max_results": 10})
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)
        [number] = [each["experiment_id"] for each in found["experiments"] if each["name"] == "tracked"]
        query = {"experiment_ids": [number], "max_results": 100, "order_by": [f"{VIEW['orderByKey']} DESC"]}
        times = []
        for _ in range(ASKED):
            began = time.monotonic()
            assert len(posted(f"{base}/runs/search", query)["runs"]) == 100
            times.append(time.monotonic() - began)
        return times
    finally:
        server.terminate()
        server.wait(30)


def posted(url: str, body: dict[str, object]) -> dict[str, list[dict[str, str]]]:
    """The JSON that a server answers."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        found: dict[str, list[dict[str, str]]] = json.load(answer)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--uri", help="of a database for MLflow")
    options = parser.parse_args()
    no_op.install(curves=True)
    from orchestrator.driver import run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri = options.uri or f"sqlite:///{folder / 'mlflow.db'}"
        file = grid(folder, options.students, options.epochs, uri)
        run(file, executor="inline", overrides=["tracking.enabled=false"])
        first, again, answers = track(file), track(file), asked(file)
    print(f"{options.students:,} students of {options.epochs} epochs, {len(no_op.METRICS)} numbers each")
    print(f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
    for what, (wall, cpu) in {"kd track": first, "kd track, nothing to do": again}.items():
        print(f"{what:28}{wall:8.1f} s, {cpu:.1f} s of CPU")
    print(f"{'100 runs of the list':28}{answers[0]:8.2f} s the first time, then {statistics.median(answers[1:]):.2f} s")


if __name__ == "__main__":
    main()
