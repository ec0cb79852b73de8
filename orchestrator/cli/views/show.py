"""How one job is shown."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.console import STYLES, clock, counted
from orchestrator.cli.views.plan import knob
from orchestrator.cli.views.plan_jobs import word
from orchestrator.cli.views.units import size
from orchestrator.jobs.job import SHOWN
from orchestrator.jobs.visible import visible
from orchestrator.planning.explain import Status, settings, statuses
from orchestrator.planning.lookup import Known, Lookup
from orchestrator.planning.state import State
from orchestrator.store.entry import Entry

MOST = 12  # jobs of a role that are named


def as_json(known: Known, lookup: Lookup) -> dict[str, Any]:
    """What the store holds of the job, and where it stands."""
    entry, status = lookup.entry(known), _status(known, lookup)
    manifest = entry.manifest if entry else {}
    planned: dict[str, Any] = {}
    if known.job:
        planned = {"version": known.job.version, "config": known.job.config, "parents": known.job.parents}
    return {
        "kind": known.kind,
        "key": known.key,
        "title": known.title,
        "state": status.state.value if status else None,
        "reason": status.reason if status else "",
        "needed_by": [job.key for job in lookup.plan if known.key in job.ancestors],
        "logs": [log.name for log in lookup.store.logs(known)],
        **planned,
        **manifest,
        "folder": entry.folder if entry else None,
    }


def view(known: Known, lookup: Lookup) -> Iterator[RenderableType]:
    """The job for people: sections, each with its rows."""
    entry, status = lookup.entry(known), _status(known, lookup)
    head = Text(f"{known.title}: {known.kind}", style="bold")
    if status:
        head.append(f", {word(status.state)}", style=STYLES[status.state])
    yield head
    yield _rows({"key": known.key, **({"why": status.reason} if status and status.reason else {}), **_progress(status)})
    if known.job:
        yield from _section("what decides it", _config(known))
        yield from _section("parents", _parents(known, lookup))
    if below := [job.title for job in lookup.plan if known.key in job.ancestors]:
        yield from _section("needed by", {counted(len(below), "job"): _listed(below)})
    if entry:
        yield from _of_entry(entry, lookup.store.location)
    if logs := lookup.store.logs(known):
        yield from _section("logs", {log.attempt: f"{log.began} UTC, {size(len(log.text))}" for log in logs})


def _of_entry(entry: Entry, location: str) -> Iterator[RenderableType]:
    manifest = entry.manifest
    yield from _section("results", {name: knob(value) for name, value in manifest["results"].items()})
    files = {name: f"{size(each['bytes'])}, SHA-256 {each['sha256'][:SHOWN]}…" for name, each in manifest["files"].items()}
    yield from _section("files", {**files, "in": f"{location}/{entry.folder}"})
    times = {
        "started": _date(manifest["started"]),
        "finished": f"{_date(manifest['finished'])}, {clock(manifest['finished'] - manifest['started'])} later",
        "work": f"{manifest['seconds']:.1f} s, without what was read before and tested after",
    }
    yield from _section("times", times)
    yield from _section("resources", {name: knob(value) for name, value in manifest.get("resources", {}).items()})
    yield from _section("environment", {name: str(value) for name, value in manifest["environment"].items()})


def _status(known: Known, lookup: Lookup) -> Status | None:
    """Where a job of the plan stands; another one of the store is done, or nothing is known."""
    if known.key in lookup.plan.jobs:
        return statuses(lookup.plan, lookup.store)[known.key]
    return Status(State.DONE) if lookup.entry(known) else None


def _progress(status: Status | None) -> dict[str, str]:
    if not status or not status.progress:
        return {}
    said = {name: knob(value) for name, value in status.progress.items() if name in ("epoch", "epochs", "loss", "accuracy")}
    return {"last said": ", ".join(f"{name} {value}" for name, value in said.items())}


def _config(known: Known) -> dict[str, str]:
    assert known.job
    return {name: knob(value) for name, value in settings(known.job.version, known.job.config).items()}


def _parents(known: Known, lookup: Lookup) -> dict[str, str]:
    assert known.job
    found = {}
    for role, keys in known.job.parents.items():
        parents = [(key, lookup.named(key)) for key in keys[:MOST]]
        names = [f"{parent.title if parent else 'gone'} ({key[:SHOWN]})" for key, parent in parents]
        more = [f"and {len(keys) - MOST} more"] if len(keys) > MOST else []
        found[role] = ", ".join((*names, *more))
    return found


def _listed(titles: list[str]) -> str:
    return ", ".join(titles[:MOST]) + (f" and {len(titles) - MOST} more" if len(titles) > MOST else "")


def _section(name: str, rows: Mapping[str, str]) -> Iterator[RenderableType]:
    if rows:
        yield Text()
        yield Text(name, style="bold")
        yield _rows(rows)


def _rows(rows: Mapping[str, str]) -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True, style="cyan")
    made.add_column(overflow="fold")
    for name, value in rows.items():
        made.add_row(f"  {visible(name)}", visible(value))
    return made


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
