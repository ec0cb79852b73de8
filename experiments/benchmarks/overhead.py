"""What running jobs on Ray costs: one-epoch students by the Ray executor, against the same job functions in a plain loop.

Command:  python experiments/benchmarks/overhead.py [--students 32]          (OMP_NUM_THREADS=1)
Prints:   wall and CPU time of both. A trial's overhead is all CPU time of the run's processes (the driver, Ray's own, the
          workers) beside that of the same trainings in the plain loop, once with starting up and once from the first trial on.
Expect:   on 2 quiet cores, in two runs: 0.50 and 0.57 s of CPU a trial outside training, 0.78 and 0.87 s with starting up,
          against 0.04 s in the plain loop; 23 s in all, 12 s from the first trial's start to the last one's end (the plain
          loop: 7.6 s); first step 6 s after the first submission. Most of it is paid once: with --students 400, 0.10 s a
          trial (0.12 s with starting up), 77 s in all against the plain loop's 102 s.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path
from unittest import mock

from orchestrator.driver import run
from orchestrator.executors.ray.executor import RayExecutor
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.stages.runner import Runtime, run_job
from orchestrator.store.arrow import read_table
from orchestrator.store.store import Store

YAML = """\
name: overhead
store: {store}
data: {{name: digits}}
students: {{models: [resnet8], seeds: {seeds}, methods: [none], recipe: {{epochs: 1}}}}
tracking: {{enabled: false}}
"""
TICK = os.sysconf("SC_CLK_TCK")


class Cpu:
    """CPU seconds of this process and all that descend from it, followed by looking at /proc ten times a second."""

    def __init__(self) -> None:
        self._spent: dict[tuple[int, str], float] = {}  # by process and when it began
        self.log: list[tuple[float, float]] = []  # Unix time, CPU seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Cpu:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def between(self, begin: float, end: float) -> float:
        """CPU seconds spent between two Unix times."""
        return self._at(end) - self._at(begin)

    @property
    def total(self) -> float:
        return self.log[-1][1] - self.log[0][1]

    def _at(self, when: float) -> float:
        return next((spent for time_, spent in reversed(self.log) if time_ <= when), self.log[0][1])

    def _follow(self) -> None:
        while not self._done.wait(0.1):
            self._look()

    def _look(self) -> None:
        found: dict[int, tuple[int, str, float]] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[int(path.parent.name)] = (int(fields[1]), fields[19], (int(fields[11]) + int(fields[12])) / TICK)
        ours = {os.getpid()}
        while more := {pid for pid, (parent, _, _) in found.items() if parent in ours and pid not in ours}:
            ours |= more
        for pid in ours & found.keys():
            _, began, spent = found[pid]
            self._spent[pid, began] = spent
        self.log.append((time.time(), sum(self._spent.values())))


def written(folder: Path, students: int) -> Path:
    file = folder / "overhead.yaml"
    file.write_text(YAML.format(store=folder / "store", seeds=list(range(students))))
    return file


def plain_loop(file: Path) -> tuple[float, float, float, float]:
    """Wall and CPU seconds of a loop over the jobs, and of their trainings; all is imported and read before."""
    spec = load(file)
    jobs, store = list(make(spec)), Store(spec.store)
    runtime = Runtime(store.location, spec.place.absolute())
    run_job(jobs[0], runtime)
    wall, cpu = time.perf_counter(), time.process_time()
    trained = {"wall": 0.0, "cpu": 0.0}
    from kd_core.training.loop import Training

    train = Training.run

    def timed(self, *arguments, **named):
        began = time.perf_counter(), time.process_time()
        result = train(self, *arguments, **named)
        trained["wall"] += time.perf_counter() - began[0]
        trained["cpu"] += time.process_time() - began[1]
        return result

    with mock.patch.object(Training, "run", timed):
        for job in jobs[1:]:
            run_job(job, runtime)
    return time.perf_counter() - wall, time.process_time() - cpu, trained["wall"], trained["cpu"]


def on_ray(file: Path) -> tuple[float, Cpu, list[dict], dict[str, float]]:
    """Wall seconds, CPU, the manifests by their start, each with its ``first_step``, and when each job was submitted."""
    submitted: dict[str, float] = {}
    submit = RayExecutor.submit

    def timed(self, job, *more):
        submitted[job.key] = time.time()
        return submit(self, job, *more)

    began = time.perf_counter()
    with Cpu() as cpu, mock.patch.object(RayExecutor, "submit", timed):
        outcome = run(file)
    wall = time.perf_counter() - began
    assert not outcome.failed
    manifests = []
    for entry in outcome.store.entries("student"):
        first = read_table(entry.file("history.arrow")).to_pylist()[0]
        manifests.append({**entry.manifest, "first_step": first["time_ms"] / 1000 - first["seconds"]})
    return wall, cpu, sorted(manifests, key=lambda manifest: manifest["started"]), submitted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=32)
    students = parser.parse_args().students
    cores, load_before = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        loop_wall, loop_cpu, train_wall, train_cpu = plain_loop(written(Path(folder), students + 1))
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu, manifests, submitted = on_ray(written(Path(folder), students))
    first, last = manifests[0]["started"], max(manifest["finished"] for manifest in manifests)
    working = cpu.between(first, last)
    begun = min(submitted.values())
    waited = sorted(manifest["first_step"] - manifest["started"] for manifest in manifests)
    print(f"{students} students of one epoch on {cores} cores; load {load_before:.1f} before, {os.getloadavg()[0]:.1f} after")
    print(
        f"plain loop      wall {loop_wall:6.1f} s   CPU {loop_cpu:6.1f} s   "
        f"of which training {train_wall:.1f} s and {train_cpu:.1f} s"
    )
    print(f"Ray, in all     wall {wall:6.1f} s   CPU {cpu.total:6.1f} s")
    print(
        f"Ray, working    wall {last - first:6.1f} s   CPU {working:6.1f} s   "
        f"from the start of the first trial to the end of the last"
    )
    print(f"CPU outside training, a trial: plain loop {(loop_cpu - train_cpu) / students:.2f} s, ", end="")
    print(f"Ray working {(working - train_cpu) / students:.2f} s, with starting up {(cpu.total - train_cpu) / students:.2f} s")
    print(f"from submission to the first step: {manifests[0]['first_step'] - begun:.1f} s for the first trial; ", end="")
    print(f"from a trial's start to its first step {waited[len(waited) // 2]:.2f} s (median)")


if __name__ == "__main__":
    main()
