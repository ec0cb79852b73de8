"""Arrow tables as files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa


def write_table(table: pa.Table, path: Path) -> None:
    """Write an Arrow IPC file. Inside an attempt this needs no more care: what has no manifest does not exist."""
    with pa.OSFile(str(path), "wb") as sink:
        _write(table, sink)


def table_bytes(table: pa.Table) -> bytes:
    """A table as an Arrow IPC file."""
    sink = pa.BufferOutputStream()
    _write(table, sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _write(table: pa.Table, sink: pa.NativeFile) -> None:
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_table(path: Path) -> pa.Table:
    """Read an Arrow IPC file, memory-mapped."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
