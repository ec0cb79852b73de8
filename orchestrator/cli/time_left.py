"""How much time is left of a run, as it is told: a range that follows what is measured, and does not jump."""

from __future__ import annotations

import math
from dataclasses import dataclass

IDEAL_S = 5.0  # of work, before its speed tells of the rest
MOST = 4.0  # times as long
FOLLOW_S = 20.0  # how fast what is told follows what is estimated
UNITS = (  # seconds, name, up to how many seconds, and the steps in which it is told
    (1, "s", 90, (5, 10, 15, 30)),
    (60, "min", 90 * 60, (1, 2, 5, 10, 15, 30)),
    (3600, "h", 36 * 3600, (0.5, 1, 2, 3, 6)),
    (86_400, "d", math.inf, (0.5, 1, 2, 5, 10, 30, 100)),
)


@dataclass(frozen=True)
class Left:
    """Seconds until the end, between two bounds; ``unknown`` jobs, of which nothing is known, come on top."""

    low: float
    high: float
    unknown: int = 0

    def __str__(self) -> str:
        if self.unknown:
            low, _, unit = told(self.low, self.low)
            return f"at least {low:g} {unit}" if low else "more than can be told yet"
        low, high, unit = told(self.low, self.high)
        if not low:
            return f"less than {high:g} {unit}"
        return f"about {high:g} {unit}" if low == high else f"{low:g} to {high:g} {unit}"


class Lost:
    """How much longer a run takes than its jobs: processes start, workers wait for each other, other work shares the machine.

    Times are by the monotonic clock.
    """

    def __init__(self) -> None:
        self._opened: float | None = None  # when the first job was handed out
        self._first: float | None = None  # when the first job had something to tell

    def opened(self, now: float) -> None:
        """Jobs are handed out."""
        if self._opened is None:
            self._opened = now

    def heard(self, now: float) -> None:
        """A job has told of its work, or has ended."""
        if self._first is None:
            self._first = now

    @property
    def start(self) -> float:
        """Seconds that a worker took to start, as far as that was seen."""
        return 0.0 if self._opened is None or self._first is None else self._first - self._opened

    def factor(self, ideal: float, now: float) -> float:
        """How many times longer things took so far than the ``ideal`` seconds in which what was done could have been."""
        if self._first is None or ideal < IDEAL_S:
            return 1.0
        return min(MOST, max(1.0, (now - self._first) / ideal))


class TimeLeft:
    """Follows the estimates of a run: what is told is when it ends, which changes slowly, less the time of now."""

    def __init__(self) -> None:
        self._ends: tuple[float, float] | None = None
        self._at = 0.0
        self._unknown = 0

    def estimated(self, low: float, high: float, unknown: int, now: float) -> None:
        """A new estimate, in seconds from ``now`` on."""
        new = (now + low, now + high)
        if self._ends is None or (self._unknown and not unknown):
            self._ends = new
        else:
            part = 1 - math.exp(-(now - self._at) / FOLLOW_S)
            self._ends = (self._ends[0] + part * (new[0] - self._ends[0]), self._ends[1] + part * (new[1] - self._ends[1]))
        self._at, self._unknown = now, unknown

    def now(self, now: float) -> Left | None:
        """What is left; None before there is an estimate."""
        if self._ends is None:
            return None
        low, high = (max(0.0, end - now) for end in self._ends)
        return Left(low, high, self._unknown)


def told(low: float, high: float) -> tuple[float, float, str]:
    """Both bounds in the unit that fits the higher one, the lower one rounded down and the higher one up, in steps of at
    most half their distance."""
    size, unit, _, steps = next(each for each in UNITS if high < each[2])
    wanted = min(max((high - low) / 2, high / 10), low) / size  # so that what is more than nothing is told as such
    step = max((each for each in steps if each <= wanted), default=steps[0])
    return math.floor(low / size / step) * step, max(1, math.ceil(high / size / step)) * step, unit
