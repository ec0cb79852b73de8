"""Runs of experiments that are all about the same jobs, under several names, at once on one store, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.store import Store
from tests.support.paths import ROOT

RUN = """
import json, sys
from orchestrator.driver import run
for line in sys.stdin:
    outcome = run(json.loads(line), executor="inline")
    print(json.dumps([outcome.computed, [reason for _, reason in outcome.failed], list(outcome.notes)]), flush=True)
"""


class SeveralRuns:
    """Args: ``names`` of the experiments; a process for each lives as long as this object."""

    def __init__(self, names: tuple[str, ...]) -> None:
        command = [sys.executable, "-c", RUN]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.processes = {name: subprocess.Popen(command, cwd=ROOT, text=True, **streams) for name in names}

    def __enter__(self) -> SeveralRuns:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.communicate()

    def round(self, yaml: str, folder: Path, store: str) -> dict[str, int]:
        """Run the YAML, whose name is the first line, under all names at once, and check what is left: how many jobs each of
        them did."""
        files = {}
        for name in self.processes:
            files[name] = folder / f"{name}.yaml"
            files[name].write_text(f"name: {name}\n" + yaml.partition("\n")[2])
        for name, process in self.processes.items():
            process.stdin.write(json.dumps(str(files[name])) + "\n")
            process.stdin.flush()
        said = {name: process.stdout.readline() for name, process in self.processes.items()}
        for name, line in said.items():
            assert line, f"{name} broke"
            _, failed, notes = json.loads(line)
            assert failed == [], name
            assert not any("corrupt" in note for note in notes), notes
        self.check(next(iter(files.values())), store)
        return {name: json.loads(line)[0] for name, line in said.items()}

    @staticmethod
    def check(file: Path, location: str, overrides: tuple[str, ...] = ()) -> None:
        """Every job is done, once, to the last byte, and nothing is left beside."""
        plan, store = make(load(file, overrides)), Store(location)
        for job in plan:
            assert store.find(job.kind, job.key, deep=True), job.title
            assert len(store.backend.folders(f"{job.kind}/{job.key}")) == 1, f"{job.title} was done twice"
        names = [name for name in store.backend.tree("") if name.split("/")[0] in ("work", "failed", "locks", "quarantine")]
        assert names == []


def main(rounds: str, folder: str) -> None:
    """So many rounds of pairs, each on a new store below the folder."""
    from tests.orchestrator.conftest import SMALL

    with SeveralRuns(("mine", "yours")) as runs:
        for number in range(int(rounds)):
            place = Path(folder) / str(number)
            place.mkdir(parents=True)
            print(number, runs.round(SMALL.format(store=place / "store"), place, str(place / "store")), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
