"""What the orchestrator itself costs, by the number of jobs: plain students that compute nothing, run inline.

Command:  python experiments/benchmarks/scaling.py [--jobs 100 1000 10000] [--requests 20]
Prints:   of each size the CPU time of a job outside the job; on the finished store the CPU time and memory of `kd plan`,
          `status`, `report` and of a run with nothing to do, and of `kd plan` on an empty one; of each the exponent that fits
          its growth (1: as the number of jobs). With moto, the requests a job that an object store gets, counted on loopback.
Expect:   docs/scaling.md; about five minutes of CPU for the three sizes. The folder is in memory where there is /dev/shm,
          so that no disk is measured.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import no_op

YAML = """\
name: scaling
store: {store}
data: {{name: digits}}
students: {{models: [resnet8, resnet14], seeds: {seeds}, methods: [none], recipe: {{epochs: 2}}}}
tracking: {{enabled: false}}
"""
KD = """
import sys
from orchestrator.cli.app import main
code = main()
print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")), end="", file=sys.stderr)
sys.exit(code)
"""  # the peak that wait4 tells is not less than that of this process
COMMANDS = {
    "kd plan, empty store": ("plan", "--store", "{folder}/none"),
    "kd plan": ("plan",),
    "kd status": ("status",),
    "kd report": ("report",),
    "kd run, nothing to do": ("run", "--executor", "inline"),
}
MEMORY = Path("/dev/shm")


def written(folder: Path, jobs: int, store: str = "") -> Path:
    """An experiment of so many students."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scaling.yaml"
    file.write_text(YAML.format(store=store or folder / "store", seeds=list(range(jobs // 2))))
    return file


def run_jobs(file: Path) -> float:
    """CPU seconds of a run of all jobs, in this process, which has done others before."""
    from orchestrator.driver import run

    began = time.process_time()
    outcome = run(file, executor="inline")
    assert outcome.computed == len(outcome.plan)
    return time.process_time() - began


def command(arguments: Sequence[str]) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of a command of kd, starting up included."""
    before = os.times()
    done = subprocess.run([sys.executable, "-c", KD, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    after = os.times()
    assert done.returncode == 0, done.stderr
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, int(done.stderr.splitlines()[-1].split()[1]) / 1024


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of the logarithms, by least squares."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def requests(jobs: int, folder: Path) -> Counter[str] | None:
    """The requests that an object store gets of a run of so many jobs, by method; None without moto."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        return None
    counted: Counter[str] = Counter()

    class Count(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            counted.update(re.findall(r"(GET|HEAD|PUT|POST|DELETE) /", record.getMessage()))

    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "KD_CACHE": str(folder / "cache")}
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.handlers, log.propagate = [Count()], False
    try:
        import boto3

        port = server.get_host_and_port()[1]
        boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="bench")
        place = f"s3://bench/%s?endpoint_override=127.0.0.1:{port}&scheme=http"
        found = []
        for size in (2, jobs + 2):  # the difference is without what a run costs however many its jobs
            counted.clear()
            run_jobs(written(folder / str(size), size, place % f"store{size}"))
            found.append(Counter(counted))
        return found[1] - found[0]
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--requests", type=int, default=20, help="jobs on the object store; 0: none")
    parser.add_argument("--json", type=Path, help="write the numbers here, too")
    options = parser.parse_args()
    if len(set(options.jobs)) < 2:
        parser.error("--jobs: growth is seen between two sizes at least")
    no_op.install()
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        run_jobs(written(folder / "first", 10))  # imports what a job needs
        for jobs in options.jobs:
            file = written(folder / str(jobs), jobs)
            found.setdefault("a run, without starting up", []).append((run_jobs(file), 0.0))
            for what, words in COMMANDS.items():
                asked = [word.format(folder=folder) for word in words]
                found.setdefault(what, []).append(command([asked[0], str(file), *asked[1:]]))
        counted = requests(options.requests, folder / "far") if options.requests else None
    print(f"CPU seconds (peak memory, MB); load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
    print(f"{'':28}" + "".join(f"{jobs:>18,}" for jobs in options.jobs) + f"{'exponent':>10}")
    for what, cells in found.items():
        shown = "".join(f"{f'{cpu:.2f}' + (f' ({memory:.0f})' if memory else ''):>18}" for cpu, memory in cells)
        print(f"{what:28}{shown}{exponent(options.jobs, [cpu for cpu, _ in cells]):>10.2f}")
    each = [1000 * cpu / jobs for jobs, (cpu, _) in zip(options.jobs, found["a run, without starting up"], strict=True)]
    print(f"{'a job, ms':28}" + "".join(f"{value:>18.2f}" for value in each))
    if counted:
        parts = ", ".join(f"{number / options.requests:.1f} {method}" for method, number in sorted(counted.items()))
        print(f"requests a job to an object store: {counted.total() / options.requests:.1f} ({parts})")
    if options.json:
        numbers = {"jobs": options.jobs, "cpu_s and memory_mb": found, "requests": counted, "of_jobs": options.requests}
        options.json.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
