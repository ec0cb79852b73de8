"""What the science does on a GPU: is it right there, and how fast is it beside a plain loop as the field writes it.

Command:  python experiments/benchmarks/gpu.py [--minutes 8] [--batches 64,256] [--json FILE]
Needs:    torch, torchvision, numpy, pyarrow, safetensors, msgspec beside kd_core; one GPU. `--device cpu` tries the script.
Prints:   a table of checks and a table of times in Markdown. Exits with 1 where a check fails.

A time is the median of a case's epochs; variants of a case take turns, so that a machine that slows down slows all of them. The
plain loop reads PIL images through torchvision's transforms and a DataLoader, asks live teachers and reads loss and accuracy
at every step; it has the same networks and the same method, in fp32 with cuDNN's autotuning.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once by cuBLAS; deterministic kernels need it

import torch
from gpu_checks import CHECKS, Check
from gpu_epochs import CASES, TIMED, Measured, fill_banks, measure, packed, timed_splits, work
from gpu_variants import COMPILED, VARIANTS


def print_checks(device: str) -> list[Check]:
    """What every check found, as it comes."""
    found: list[Check] = []
    print("| check | | found |\n|---|---|---|")
    for check in CHECKS:
        for each in check(device):
            found.append(each)
            print(f"| {each.name} | {'passed' if each.passed else 'FAILED'} | {each.found} |", flush=True)
    return found


def print_times(asked: argparse.Namespace, until: float) -> dict[str, object]:
    """How fast banks are filled and epochs are, as it comes; what would begin after ``until`` is left out."""
    splits = timed_splits(asked.images, asked.padding)
    columns = ["plain loop", *(variant.name for variant in (*VARIANTS, COMPILED))]
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        rates = fill_banks(splits, Path(folder), asked.device)
        print(f"\nbanks of {splits.augmentation.views} views of {len(splits.train)} images, fp32, images a second:")
        print("; ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()))
        print(f"\nseconds an epoch of {len(splits.train)} images, a fifth more in validation (and by how much faster)\n")
        print("| case | batch | " + " | ".join(columns) + " | GPU busy |\n" + "|---" * (3 + len(columns)) + "|")
        for batch_size in map(int, asked.batches.split(",")):
            for case in CASES:
                if time.monotonic() > until:
                    print(f"| {case.title} | {batch_size} | not measured: the minutes are over |")
                    continue
                row = measure(case, batch_size, splits, Path(folder), asked.device)
                measured.append(row)
                plain = row.seconds["plain loop"]
                cells = [f"{row.seconds[c]:.2f} ({plain / row.seconds[c]:.1f}×)" if c in row.seconds else "" for c in columns]
                print(f"| {case.title} | {batch_size} | " + " | ".join(cells) + f" | {row.busy:.0%} |", flush=True)
    print(f"\nprocesses on one device, each {TIMED} epochs of kd with a live teacher, batch 64, autotuned: seconds")
    packing: dict[int, float] = {}
    for count in (1, 2, 4):
        if time.monotonic() < until:
            packing[count] = packed(count, sys.argv[1:])
            print(f"{count}: {packing[count]:.1f}", flush=True)
    return {"banks": rates, "epochs": [asdict(row) for row in measured], "packing": packing}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--minutes", type=float, default=8, help="no further case is begun after so many")
    parser.add_argument("--batches", default="64,256", help="batch sizes")
    parser.add_argument("--images", type=int, default=2_000, help="training images of an epoch")
    parser.add_argument("--padding", type=int, default=4, help="of the augmentation: 4 makes 162 views of an image")
    parser.add_argument("--only", choices=("checks", "times"), help="one half alone")
    parser.add_argument("--json", type=Path, help="write all of it there, too")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    device, until = asked.device, time.monotonic() + 60 * asked.minutes
    if device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device is at hand; `--device cpu` tries the script itself", file=sys.stderr)
        return 2
    if asked.worker:
        work(timed_splits(asked.images, asked.padding), device)
        return 0

    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{where}, torch {torch.__version__}, torchvision {version('torchvision')}, Python {sys.version.split()[0]}\n")
    checks = print_checks(device) if asked.only != "times" else []
    times = print_times(asked, until) if asked.only != "checks" else {}
    if asked.json:
        result = {"device": where, "torch": torch.__version__, "checks": [asdict(each) for each in checks], **times}
        asked.json.write_text(json.dumps(result, indent=1))
    return 0 if all(each.passed for each in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
