"""What a site offers, by `sinfo`, and what of a profile's wishes it cannot give."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.executors.slurm.commands import call
from orchestrator.executors.slurm.profile import Profile
from orchestrator.experiment.spec import Allocation

UNITS = {"": 1.0, "K": 2.0**-10, "M": 1.0, "G": 2.0**10, "T": 2.0**20}  # in MiB
GPU = re.compile(r"gpu:(?:(?P<kind>[\w.-]+):)?(?P<number>\d+)")


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind in a partition."""

    partition: str
    default: bool
    up: bool
    limit_min: float  # of a job's time
    number: int
    cpus: int
    mem_mib: int
    gpus: tuple[tuple[str, int], ...]  # of one node: kind, which may be empty, and number

    def __str__(self) -> str:
        limit = "no limit" if math.isinf(self.limit_min) else f"{self.limit_min / 60:g} h"
        gpus = "".join(f", {number} GPU{f' ({kind})' if kind else ''}" for kind, number in self.gpus)
        state = "" if self.up else ", down"
        return f"{self.partition}{' (default)' if self.default else ''}: {limit}{state}, {self.number} × {self.cpus} CPU, " + (
            f"{self.mem_mib / 1024:.0f} GiB{gpus}"
        )


def nodes() -> list[Nodes]:
    """What `sinfo` shows.

    Raises:
        CannotRun: where there is no Slurm here, or it does not answer.
    """
    return [_nodes(line) for line in call("sinfo", "--noheader", "--format=%P|%a|%l|%D|%c|%m|%G").splitlines() if line]


def _nodes(line: str) -> Nodes:
    name, state, limit, number, cpus, mem, gres = line.split("|")
    gpus = tuple((found["kind"] or "", int(found["number"])) for found in GPU.finditer(gres))
    has = [int(re.sub(r"\D.*", "", text) or 0) for text in (number, cpus, mem)]  # 16+: some have more
    return Nodes(name.rstrip("*"), name.endswith("*"), state == "up", minutes(limit), has[0], has[1], has[2], gpus)


def minutes(time: str) -> float:
    """Minutes of a time as Slurm writes it: 90, 30:00, 4:00:00, 1-12, 1-12:30, 1-12:30:00; of no limit, infinite."""
    days, dash, rest = time.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in parts):
        return math.inf
    numbers = [*map(float, parts), 0.0, 0.0][:3]
    if dash:
        return int(days) * 1440 + numbers[0] * 60 + numbers[1] + numbers[2] / 60
    if len(parts) == 3:
        return numbers[0] * 60 + numbers[1] + numbers[2] / 60
    return numbers[0] + numbers[1] / 60


def problems(profile: Profile, site: Sequence[Nodes]) -> Iterator[str]:
    """What the profile asks for and the site cannot give."""
    name = profile.partition or next((each.partition for each in site if each.default), None)
    if name is None:
        yield "there is no default partition: say `partition`"
        return
    found = [each for part in name.split(",") for each in site if each.partition == part]
    if not found:
        yield f"there is no partition {name} (there are: {', '.join(dict.fromkeys(each.partition for each in site))})"
        return
    if not any(each.up for each in found):
        yield f"partition {name} is down"
    limit = max(each.limit_min for each in found)
    if profile.time and minutes(profile.time) > limit:
        yield f"`time` is {profile.time}, but partition {name} ends jobs after {limit / 60:g} h: it would wait for ever"
    kind, _, number = (profile.gpus_per_node or "0").rpartition(":")
    mem = re.fullmatch(r"(\d+)([KMGT]?)", profile.mem or "0")
    assert mem, "the profile has been checked"
    mem_mib = int(mem[1]) * UNITS[mem[2]]
    fit = 0
    for each in found:
        gpus = sum(count for of, count in each.gpus if kind in ("", of))
        if gpus >= int(number) and each.cpus >= (profile.cpus_per_task or 1) and each.mem_mib >= mem_mib:
            fit += each.number
    if fit < profile.nodes:
        asked = [f"{profile.cpus_per_task or 1} CPU"]
        asked += [f"{profile.mem} memory"] if profile.mem else []
        asked += [f"{profile.gpus_per_node} GPU"] if profile.gpus_per_node else []
        yield f"{profile.nodes} nodes with {', '.join(asked)} are asked for, and partition {name} has {fit}"


def too_little(profile: Profile, allocations: dict[str, Allocation]) -> Iterator[str]:
    """What one job of the experiment takes and a node of the profile would not have."""
    gpus = int((profile.gpus_per_node or "0").rpartition(":")[2])
    for name, allocation in allocations.items():
        if profile.cpus_per_task and allocation.cpus > profile.cpus_per_task:
            yield f"resources.{name} asks for {allocation.cpus:g} CPU, but `cpus-per-task` is {profile.cpus_per_task}"
        if allocation.gpus > gpus:
            given = profile.gpus_per_node or "not given"
            yield f"resources.{name} asks for {allocation.gpus:g} GPU, but `gpus-per-node` is {given}"
