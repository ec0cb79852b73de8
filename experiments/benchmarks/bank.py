"""What the knowledge bank saves: an epoch of a student that hears three teachers, live against from the bank.

Command:  python experiments/benchmarks/bank.py [--epochs 5]
Prints:   the ratio live / bank of the median epoch, in CPU time, and after how many student epochs the banks are paid for.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from kd_core.bank.fill import fill
from kd_core.bank.read import Bank
from kd_core.bank.source import Live
from kd_core.data.load import load
from kd_core.data.table import DataConfig
from kd_core.knowledge import Need
from kd_core.methods.setting import Setting
from kd_core.methods.table import METHODS
from kd_core.models.network import shape_of
from kd_core.models.table import build
from kd_core.recipe import Recipe
from kd_core.training.loop import Training

TEACHERS = ("resnet20", "resnet32", "wrn_16_2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    epochs = parser.parse_args().epochs
    torch.set_num_threads(1)
    splits = load(DataConfig("digits"), Path("data"))
    teachers = [build(name, channels=1, classes=10).eval() for name in TEACHERS]

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in TEACHERS]
        began = time.process_time()
        for teacher, file in zip(teachers, files, strict=True):
            save_file(fill(teacher, splits, Need.LOGITS, "cpu"), file)
        filling = time.process_time() - began
        sources = {
            "live": [Live(teacher, "cpu") for teacher in teachers],
            "bank": [Bank([[file]], "cpu", splits.classes) for file in files],
        }
        seconds: dict[str, list[float]] = {name: [] for name in sources}
        for _ in range(2):  # in turn, so that a machine that slows down slows both
            for name, answering in sources.items():
                student = build("resnet8", channels=1, classes=10)
                shapes = tuple(shape_of(teacher, splits.image) for teacher in teachers)
                setting = Setting(shape_of(student, splits.image), shapes, splits.train.labels_N)
                method = METHODS["aver"](METHODS["aver"].Config(), setting)
                ends = [time.process_time()]
                training = Training(student, method, answering, splits, Recipe(epochs=epochs), seed=0)
                training.run(on_epoch=lambda _, ends=ends: ends.append(time.process_time()))
                seconds[name] += [end - begin for begin, end in itertools.pairwise(ends)]

    live, bank = (statistics.median(seconds[name]) for name in ("live", "bank"))
    print(f"epoch of {len(splits.train)} images, resnet8 from {', '.join(TEACHERS)}, one thread, CPU time")
    print(f"live {live:.2f} s, bank {bank:.2f} s: ratio {live / bank:.2f}")
    paid = filling / (live - bank)
    print(f"filling three banks of {splits.augmentation.views} views {filling:.1f} s: paid for after {paid:.1f} epochs")


if __name__ == "__main__":
    main()
