"""The files that entries hold: their names, and of tables their schemas. Each stands here and nowhere else.

    job          files
    teacher      MODEL, PREDICTIONS and, where it was trained, HISTORY
    probe        PROBES
    analysis     ANALYSER, HISTORY
    bank         BANK
    search       TRIALS
    trial        HISTORY and, where a population goes on with it, STATE
    student      MODEL, PREDICTIONS, HISTORY and, where parts of its method make its logits, METHOD

PREDICTIONS came later: entries from before are without.

Importing this file imports no torch.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from orchestrator.store.arrow import read_table, write_table
from orchestrator.store.entry import Entry
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.files import sha256

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Artifact:
    """A file of an entry."""

    name: str

    def is_in(self, entry: Entry) -> bool:
        """Whether the entry has it."""
        return self.name in entry.manifest["files"]

    def path(self, entry: Entry) -> Path:
        """Where it lies on this machine, as it was committed.

        Raises:
            CorruptEntry: where it is not what the manifest says, or the entry has no such file.
        """
        if not self.is_in(entry):
            raise CorruptEntry(f"{entry.manifest['kind']}/{entry.manifest['key']} has no {self.name}")
        path, stated = entry.file(self.name), entry.manifest["files"][self.name]["sha256"]
        stat = path.stat()
        if _sha256(path, stat.st_size, stat.st_mtime_ns) != stated:
            raise CorruptEntry(f"{entry.manifest['kind']}/{entry.manifest['key']}: {self.name} does not have its SHA-256")
        return path


@functools.lru_cache(maxsize=4096)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Of a file, read once in a process as long as nobody writes to it."""
    return sha256(path)


@dataclass(frozen=True)
class Tensors(Artifact):
    """Named tensors, as a safetensors file."""

    def write(self, tensors: Mapping[str, Tensor], folder: Path) -> None:
        """Into an attempt's folder."""
        from safetensors.torch import save_file

        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / self.name)

    def read(self, entry: Entry) -> dict[str, Tensor]:
        """All of them, on the CPU.

        Raises:
            CorruptEntry: from :meth:`path`.
        """
        from safetensors.torch import load_file

        return load_file(self.path(entry))


@dataclass(frozen=True)
class Table(Artifact):
    """A table, as an Arrow IPC file."""

    schema: pa.Schema = field(repr=False)

    def write(self, table: pa.Table, folder: Path) -> None:
        """Into an attempt's folder, or any other; the table must have the schema."""
        assert table.schema == self.schema, f"{self.name} has a schema of its own, which is not {table.schema}"
        write_table(table, folder / self.name)

    def read(self, entry: Entry) -> pa.Table:
        """The whole of it, memory-mapped.

        Raises:
            CorruptEntry: where it is not what the manifest says, or no table of this schema.
        """
        path = self.path(entry)
        try:
            return read_table(path).select(self.schema.names).cast(self.schema)
        except (pa.ArrowException, KeyError) as error:
            where = f"{entry.manifest['kind']}/{entry.manifest['key']}"
            raise CorruptEntry(f"{where}: {self.name} is not such a table ({error})") from None


MODEL = Tensors("model.safetensors")  # the network's weights of its chosen epoch
METHOD = Tensors("method.safetensors")  # the method's own parts, of that epoch
PREDICTIONS = Table(  # a row for every image of the test split, in its order
    "predictions.arrow",
    pa.schema([("predicted", pa.int32()), ("label", pa.int32())]),  # classes, of the chosen epoch
)
ANALYSER = Tensors("analyser.safetensors")
BANK = Artifact("bank.safetensors")  # tensors (V, N, …): large, so it is mapped and not read
STATE = Artifact("state.safetensors")  # a checkpoint, at the end of a generation
HISTORY = Table(  # a row for every metric of every epoch
    "history.arrow",
    pa.schema(
        [
            ("epoch", pa.int32()),  # from 1
            ("time_ms", pa.int64()),  # Unix time of the epoch's end
            ("seconds", pa.float64()),  # of the epoch
            ("name", pa.string()),
            ("value", pa.float64()),
        ]
    ),
)
FITTED = "train"  # the split that a probe is fitted to, as its tables name it
PROBES = Table(  # a row for every (layer, split)
    "probes.arrow",
    pa.schema(
        [
            ("teacher", pa.string()),  # its key
            ("model", pa.string()),
            ("seed", pa.int64()),
            ("stage", pa.int64()),  # shallow to deep; the embedding is the last, stage L
            ("layer", pa.string()),
            ("height", pa.int64()),  # of the feature map before pooling
            ("width", pa.int64()),
            ("dimension", pa.int64()),  # of what the probe sees
            ("split", pa.string()),  # FITTED, or what the probe is judged on: validation or holdout
            ("accuracy", pa.float64()),  # in [0, 1]
            ("loss", pa.float64()),  # mean cross-entropy in nats, without the penalty
            ("regularisation", pa.float64()),  # C
            ("iterations", pa.int64()),
            ("converged", pa.bool_()),
            ("seconds", pa.float64()),  # of the fit
        ]
    ),
)
TRIALS = Table(  # a row for every trial of a search
    "trials.arrow",
    pa.schema(
        [
            ("number", pa.int32()),
            ("values", pa.string()),  # JSON, by knob
            ("key", pa.string()),
            ("state", pa.string()),  # running, done, stopped or failed
            ("accuracy", pa.float64()),  # the best of its epochs on the validation split, in [0, 1]
            ("accuracies", pa.list_(pa.float64())),  # epoch by epoch
            ("seconds", pa.float64()),  # of training
            ("started", pa.float64()),  # Unix time
            ("finished", pa.float64()),
            ("reason", pa.string()),
            ("generation", pa.int32()),
            ("parent", pa.int32()),  # the trial whose weights it went on with
        ]
    ),
)

ARTIFACTS: dict[str, Artifact] = {
    "model": MODEL,
    "method": METHOD,
    "analyser": ANALYSER,
    "bank": BANK,
    "state": STATE,
    "history": HISTORY,
    "probes": PROBES,
    "trials": TRIALS,
}
