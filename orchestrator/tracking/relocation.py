"""A mirror that lies in its store's folder goes where that goes: moved, renamed, copied, mounted elsewhere.

MLflow keeps the absolute place of artifacts, of each experiment, run and model, and its interface knows no other: what is new
would be written to where the store was. So they are compared when the database is opened, and mended in it. The tables and
columns are those of MLflow 3.5 to 3.17; where a later MLflow has others, SQLite's error names them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator.tracking.location import TrackingLocation

WAIT_S = 20  # for another process that writes
BELOW = (  # places within an experiment's
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def follow(location: TrackingLocation, written: str) -> str:
    """Have all runs of a database beside its artifacts name these artifacts. Returns what was mended, a sentence; empty where
    all was in order.

    Args:
        written: the tag that a complete run has. It is taken from those whose artifacts were left where the store was, so that
            they are written again.

    Raises:
        sqlite3.Error: where the database cannot be read or written.
    """
    file, here = location.file, location.artifacts.as_uri()
    if file is None or not file.exists() or file.resolve().parent != location.artifacts.resolve().parent:
        return ""
    with contextlib.closing(sqlite3.connect(file, timeout=WAIT_S)) as database:
        places = [place for (place,) in database.execute("SELECT DISTINCT artifact_location FROM experiments")]
        moved = [place for place in places if place != here and _ours(place, location.artifacts)]
        if not moved:
            return ""
        runs = database.execute("SELECT run_uuid, artifact_uri FROM runs").fetchall()
        left = [(run, written) for run, uri in runs for place in moved if _left_behind(uri, place, location.artifacts)]
        with database:
            for place in moved:
                database.execute("UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (here, place))
                for table, column in BELOW:
                    database.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                        (here, len(place) + 1, len(place) + 1, f"{place}/"),
                    )
            database.executemany("DELETE FROM tags WHERE run_uuid = ? AND key = ?", left)
    return f"the store was at {_path(moved[0]).parent} before: MLflow's runs now name their artifacts in {location.artifacts}"


def _ours(place: str | None, artifacts: Path) -> bool:
    """Whether an experiment's artifacts are in a folder that bears our name."""
    return bool(place) and urlsplit(place).scheme == "file" and _path(str(place)).name == artifacts.name


def _left_behind(uri: str, place: str, artifacts: Path) -> bool:
    """Whether a run's artifacts are at the old place and not at the new one."""
    before, _, own = uri.partition(f"{place}/")
    return not before and bool(own) and _path(uri).exists() and not (artifacts / unquote(own)).exists()


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))
