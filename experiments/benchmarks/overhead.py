"""What Ray costs: an experiment of short students by the Ray executor, against the same jobs in one process.

Command:  python experiments/benchmarks/overhead.py [--students 16]
Prints:   wall time of both, their ratio, and the wall time per student beyond the inline time divided by the cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from orchestrator.pipeline import run

YAML = """\
name: overhead
store: {store}
data: {{name: digits}}
teachers: {{models: [resnet8], recipe: {{epochs: 1}}}}
students: {{models: [resnet8], seeds: {seeds}, methods: [none], recipe: {{epochs: 1}}}}
tracking: {{enabled: false}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=16)
    students = parser.parse_args().students
    wall = {}
    for executor in ("inline", "ray"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "overhead.yaml"
            file.write_text(YAML.format(store=Path(folder) / "store", seeds=list(range(students))))
            began = time.perf_counter()
            outcome = run(file, executor=executor)
            wall[executor] = time.perf_counter() - began
            assert not outcome.failed
    cores = len(os.sched_getaffinity(0))
    beyond = (wall["ray"] - wall["inline"] / cores) / students
    print(f"{students} students of one epoch on {cores} cores, imports and start included")
    print(f"ray {wall['ray']:.1f} s, inline {wall['inline']:.1f} s: ratio {wall['ray'] / wall['inline']:.2f}")
    print(f"beyond perfect sharing: {beyond:.2f} s a student")


if __name__ == "__main__":
    main()
